"""What is left of a network's accuracy when the frames of each clip are shuffled: the survey's test of motion.

    python benchmarks/frame_order.py                # trains every network below and tests it, about 20 minutes
    python benchmarks/frame_order.py mvit_b_16x4    # one of them
    python benchmarks/frame_order.py --write-docs   # puts the table into docs/training_reference.md

Each network, made small, learns the synthetic set (`archdsl train --data synthetic`), whose classes come in pairs that
differ in the order of their frames alone. Then the videos for validation are looked at as they are, and with the frames
of each clip in a random order (the same for all networks). Who uses no order can tell the pair at best: 50 %.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "frame_order.csv"
PAGE = ROOT / "docs" / "training_reference.md"
COLUMNS = "model", "family", "settings", "parameters", "in_order", "shuffled", "videos", "seconds"

SMALL_MVIT = "dim=32 depths=[1,1,2,1] drop_rate=0"
SMALL_TIMESFORMER = "dim=96 depth=4 heads=4 patch=4 drop_rate=0"
# Every family of the survey that sees more than a frame at once, and one that does not.
NETWORKS = {
    "i3d_r50": ("I3D", "width=16 depths=[1,1,1,1]"),
    "slowfast_r50": ("SlowFast", "width=16 beta=1/4 alpha=2 depths=[1,1,1,1]"),
    "timesformer_ts": ("TimeSformer, T+S", SMALL_TIMESFORMER),
    "vivit_b_fe": ("ViViT, factorised encoder", "dim=96 depth=3 temporal_depth=2 heads=4 tubelet=[2,4,4]"),
    "mvit_b_16x4": ("MViT", SMALL_MVIT),
    "mvitv2_s_16x4": ("MViT v2", SMALL_MVIT),
    "swin3d_t": ("Video Swin", "width=32 depths=[1,1,2,1] heads=[1,2,4,8] window=[4,4,4] drop_rate=0"),
    "timesformer_s": ("TimeSformer, S: frame by frame", SMALL_TIMESFORMER),
}
CLIP = "3x8x32x32"
VIDEOS = 100  # of each class, and a quarter as many to judge by


def archdsl(*arguments: str) -> str:
    """Runs the command line as a user would."""
    command = [sys.executable, "-m", "archdsl", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def measured(model: str, folder: Path) -> dict[str, object]:
    """Trains a network and tests it twice."""
    family, settings = NETWORKS[model]
    chosen = [part for setting in settings.split() for part in ("--set", setting)]
    spec, run = ROOT / "specs" / f"{model}.arch", folder / model
    began = time.perf_counter()
    archdsl(
        "train", str(spec), *chosen, "--clip", CLIP, "--data", "synthetic", "--videos", str(VIDEOS),
        "-o", str(run), "--dropout", "0",
    )  # fmt: skip
    seconds = time.perf_counter() - began
    found = [json.loads(archdsl("eval", str(run), "--json", *more)) for more in ((), ("--shuffle-frames",))]
    cost = json.loads(archdsl("cost", str(spec), *chosen, "--set", "classes=8", "--clip", CLIP, "--json"))
    row: dict[str, object] = {"model": model, "family": family, "settings": settings, "parameters": cost["params"]}
    row |= {"in_order": f"{found[0]['top1']:.4f}", "shuffled": f"{found[1]['top1']:.4f}"}
    return row | {"videos": found[0]["videos"], "seconds": round(seconds)}


def read() -> dict[str, dict[str, object]]:
    """What was measured, by model."""
    if not RESULTS.exists():
        return {}
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return {row["model"]: dict(row) for row in csv.DictReader(file)}


def table(rows: dict[str, dict[str, object]]) -> str:
    """The rows for the page."""
    lines = ["| network, made small | parameters | in order | shuffled |", "|---|---|---|---|"]
    for model in NETWORKS:
        if model in rows:
            row = rows[model]
            shares = f"{float(str(row['in_order'])):.1%} | {float(str(row['shuffled'])):.1%}"
            lines.append(f"| {row['family']} (`{model}`) | {int(str(row['parameters'])) / 1e6:.2f} M | {shares} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description="Accuracy with frames in order and shuffled.")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(NETWORKS)}; default: all")
    parser.add_argument("--runs", type=Path, default=Path("out/frame_order"), help="where the runs go")
    parser.add_argument("--write-docs", action="store_true", help="only put the table into the page")
    arguments = parser.parse_args()
    rows = read()
    if not arguments.write_docs:
        for model in arguments.models or NETWORKS:
            rows[model] = measured(model, arguments.runs)
            print(rows[model], flush=True)
            RESULTS.parent.mkdir(exist_ok=True)
            with RESULTS.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(rows[m] for m in NETWORKS if m in rows)
        return
    from goals import write_page

    write_page(PAGE, frame_order=table(rows))


if __name__ == "__main__":
    main()
