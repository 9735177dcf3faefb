"""Masked pre-training of a small VideoMAE without labels, then few labels, against training from nothing.

    python benchmarks/pretraining.py                # all of it, about 12 minutes of one core
    python benchmarks/pretraining.py --seeds 0      # one seed
    python benchmarks/pretraining.py --write-docs   # puts the table into docs/training.md

For each seed, `videomae_b_pretrain`, made small, learns to reconstruct the videos of the synthetic set, without their
labels. The classifier `videomae_b` then learns a few labelled videos of each class, from the weights of that run and
from random ones, with the same settings and the same videos. Accuracies are those on the videos for validation, which
neither has seen. The videos are folders of frames here, which are read faster.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from archdsl.commands.values import written
from archdsl.ir.recipe import Recipe
from archdsl.train import synthetic

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "pretraining.csv"
PAGE = ROOT / "docs" / "training.md"
COLUMNS = "seed", "labels", "epochs", "start", "top1", "videos"

SEEDS = (0, 1, 2)
VIDEOS = 80  # of each class without labels, and a quarter as many to judge by
# Labelled videos of each class and epochs, with the seeds: three times as long for the first one alone.
SETTINGS = {(5, 30): SEEDS, (5, 90): SEEDS[:1], (20, 15): SEEDS, (20, 45): SEEDS[:1]}
EPOCHS = 8  # of the pre-training
PRETRAINED, RANDOM = "pre-training", "nothing"
CLIP = "3x8x32x32"
SMALL = "dim=96", "depth=4", "heads=3", "patch=8"
DECODER = "ratio=0.75", "decoder_dim=64", "decoder_depth=2", "decoder_heads=2"


def archdsl(*arguments: str) -> str:
    """Runs the command line as a user would, on one core."""
    command = [sys.executable, "-m", "archdsl", *arguments]
    here = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=here)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def make(folder: Path) -> None:
    """Writes the synthetic set as folders of frames, unless it exists."""
    for part, (split, count) in enumerate((("train", VIDEOS), ("val", VIDEOS // 4))):
        for label, name in enumerate(synthetic.CLASSES):
            for number in range(count):
                place = folder / split / name / f"{number:03}"
                if place.exists():
                    continue
                place.mkdir(parents=True)
                frames = synthetic.video(name, np.random.default_rng((0, part, label, number)))
                for at, frame in enumerate(frames):
                    Image.fromarray(frame).save(place / f"{at:02}.jpg", quality=95)


def few(videos: Path, count: int, seed: int, path: Path) -> str:
    """Writes a list of some videos of each class."""
    draw, lines = random.Random(seed), ["path,label"]
    for folder in sorted((videos / "train").iterdir()):
        lines += [f"{place.resolve()},{folder.name}" for place in draw.sample(sorted(folder.iterdir()), count)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


def repeated(flag: str, *values: str) -> list[str]:
    """Gives an option for each value."""
    return [part for value in values for part in (flag, value)]


def trained(model: str, seed: int, epochs: int, data: str, run: Path, *more: str) -> None:
    """Trains a small network with the recipe of the synthetic set."""
    recipe = Recipe().replace(**{**synthetic.RECIPE, "epochs": epochs}).as_dict()
    values = (f"{name}={written(recipe[name]).replace(' ', '')}" for name in synthetic.RECIPE)
    archdsl(
        "train", str(ROOT / "specs" / f"{model}.arch"), *repeated("--set", *SMALL), "--clip", CLIP, "--data", data,
        *repeated("--recipe", *values), "--seed", str(seed), "--no-val", "--device", "cpu", "--workers", "0",
        "-o", str(run), *more,
    )  # fmt: skip


def measured(seed: int, folder: Path) -> list[dict[str, object]]:
    """Pre-trains with a seed, then trains on each number of labels from both starts."""
    videos, before = folder / "videos", folder / f"pretraining-{seed}"
    make(videos)
    trained("videomae_b_pretrain", seed, EPOCHS, str(videos), before, *repeated("--set", *DECODER))
    rows: list[dict[str, object]] = []
    for labels, epochs in (setting for setting, seeds in SETTINGS.items() if seed in seeds):
        data = few(videos, labels, seed, folder / f"labels-{labels}-{seed}.csv")
        for start in (PRETRAINED, RANDOM):
            run = folder / f"{start}-{labels}-{epochs}-{seed}"
            weights = ["--weights", str(before)] if start == PRETRAINED else []
            trained("videomae_b", seed, epochs, data, run, "--set", "drop_rate=0", *weights)
            found = json.loads(archdsl("eval", str(run), "--data", str(videos), "--workers", "0", "--json"))
            row: dict[str, object] = {"seed": seed, "labels": labels, "epochs": epochs, "start": start}
            rows.append(row | {"top1": f"{found['top1']:.4f}", "videos": found["videos"]})
            print(rows[-1], flush=True)
    return rows


def read() -> list[dict[str, object]]:
    """What was measured."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return [dict(row) for row in csv.DictReader(file)]


def markdown(rows: list[dict[str, object]]) -> str:
    """The rows for the page: the mean over seeds, and the least and the most."""
    if not rows:
        return ""
    lines = ["| labelled videos of each class | epochs | seeds | from pre-training | from nothing |", "|---" * 5 + "|"]
    for (labels, epochs), seeds in SETTINGS.items():
        cells: list[str] = []
        for start in (PRETRAINED, RANDOM):
            own = [r for r in rows if (str(r["labels"]), str(r["epochs"])) == (str(labels), str(epochs))]
            found = [float(str(row["top1"])) for row in own if row["start"] == start]
            spread = f" ({min(found):.1%} to {max(found):.1%})" * (len(found) > 1)
            cells.append(f"{statistics.mean(found):.1%}{spread}")
        lines.append(f"| {labels} | {epochs} | {len(seeds)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description="Accuracy with few labels, with and without masked pre-training.")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="default: all")
    parser.add_argument("--runs", type=Path, default=Path("out/pretraining"), help="where the runs go")
    parser.add_argument("--write-docs", action="store_true", help="only put the table into the page")
    arguments = parser.parse_args()
    if arguments.write_docs:
        from goals import write_page

        write_page(PAGE, pretraining=markdown(read()))
        return
    for seed in arguments.seeds:
        rows = [row for row in read() if int(str(row["seed"])) != seed] + measured(seed, arguments.runs)
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(sorted(rows, key=lambda row: int(str(row["seed"]))))


if __name__ == "__main__":
    main()
