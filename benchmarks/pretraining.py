"""Masked pre-training of a small VideoMAE without labels, then few labels, against training from nothing.

    python benchmarks/pretraining.py                # all of it, about 12 minutes of one core; prints the table
    python benchmarks/pretraining.py --seeds 0      # one seed
    python benchmarks/pretraining.py --write-docs   # puts the table into docs/training.md

For each seed, `videomae_b_pretrain`, made small, learns to reconstruct the videos of the synthetic set, without their
labels. The classifier `videomae_b` then learns a few labelled videos of each class, from the weights of that run and
from random ones, with the same settings and the same videos. Accuracies are those on the videos for validation, which
neither has seen. The videos are folders of frames of half the size here, which are read faster, and all commands run in
one process, which imports torch once.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import random
import shutil
import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from archdsl.cli import main as run_command
from archdsl.commands.values import written
from archdsl.ir.recipe import Recipe
from archdsl.train import synthetic

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "pretraining.csv"
PAGE = ROOT / "docs" / "training.md"
COLUMNS = "seed", "labels", "epochs", "start", "top1", "videos"

SEEDS = (0, 1, 2)
VIDEOS = 80  # of each class without labels, and a quarter as many to judge by
SETTINGS = (5, 30), (5, 90), (20, 15), (20, 45)  # labelled videos of each class, and epochs
EPOCHS = 8  # of the pre-training
PRETRAINED, RANDOM = "pre-training", "nothing"
CLIP = "3x8x32x32"
SMALL = "dim=96", "depth=4", "heads=3", "patch=8"
DECODER = "ratio=0.75", "decoder_dim=64", "decoder_depth=2", "decoder_heads=2"


def archdsl(*arguments: str) -> str:
    """Runs a command line, and gives what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = run_command(list(arguments))
    if code:
        sys.exit(f"archdsl {' '.join(arguments)}\n{printed.getvalue()}")
    return printed.getvalue()


def make(folder: Path) -> None:
    """Writes the synthetic set as folders of frames of half the size, unless it exists."""
    for part, (split, count) in enumerate((("train", VIDEOS), ("val", VIDEOS // 4))):
        for label, name in enumerate(synthetic.CLASSES):
            for number in range(count):
                place = folder / split / name / f"{number:03}"
                if place.exists():
                    continue
                place.mkdir(parents=True)
                frames = synthetic.video(name, np.random.default_rng((0, part, label, number)))
                for at, frame in enumerate(frames):
                    Image.fromarray(frame).reduce(2).save(place / f"{at:02}.jpg", quality=95)


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
    videos, own = folder / "videos", folder / f"seed-{seed}"
    shutil.rmtree(own, ignore_errors=True)
    make(videos)
    own.mkdir(parents=True)
    before = own / "pretraining"
    trained("videomae_b_pretrain", seed, EPOCHS, str(videos), before, *repeated("--set", *DECODER))
    rows: list[dict[str, object]] = []
    for labels, epochs in SETTINGS:
        data = few(videos, labels, seed, own / f"labels-{labels}.csv")
        for start in (PRETRAINED, RANDOM):
            run = own / f"{start}-{labels}-{epochs}"
            weights = ["--weights", str(before)] if start == PRETRAINED else []
            trained("videomae_b", seed, epochs, data, run, "--set", "drop_rate=0", *weights)
            found = json.loads(archdsl("eval", str(run), "--data", str(videos), "--workers", "0", "--json"))
            row: dict[str, object] = {"seed": seed, "labels": labels, "epochs": epochs, "start": start}
            rows.append(row | {"top1": f"{found['top1']:.4f}", "videos": found["videos"]})
            print(*rows[-1].values(), file=sys.stderr, flush=True)
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
    for labels, epochs in SETTINGS:
        cells: list[str] = []
        own = [row for row in rows if (str(row["labels"]), str(row["epochs"])) == (str(labels), str(epochs))]
        for start in (PRETRAINED, RANDOM):
            found = [float(str(row["top1"])) for row in own if row["start"] == start]
            spread = f" ({min(found):.1%} to {max(found):.1%})" * (len(found) > 1)
            cells.append(f"{statistics.mean(found):.1%}{spread}")
        lines.append(f"| {labels} | {epochs} | {len({str(row['seed']) for row in own})} | {' | '.join(cells)} |")
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
    torch.set_num_threads(1)
    for seed in arguments.seeds:
        rows = [row for row in read() if int(str(row["seed"])) != seed] + measured(seed, arguments.runs)
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(sorted(rows, key=lambda row: int(str(row["seed"]))))
    print(markdown(read()), end="")


if __name__ == "__main__":
    main()
