"""How fast `archdsl train` is: clips/s, memory, and the share of the peak FLOP/s that a network's products reach.

    python benchmarks/training_speed.py                       # slowfast_r50 and mvitv2_s_16x4 in bf16
    python benchmarks/training_speed.py swin3d_t --batch 16 --precision fp32

Each network trains at the size of its spec for a few steps on the synthetic set, videos decoded and all; the first
steps do not count. A multiply-add is 2 FLOPs, and a step of training three times the forward pass. The peak is what a
product of two large matrices reaches on the same device in the same precision. Rows go to results/training.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tool_speed
import torch

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "training.csv"
COLUMNS = (
    "device", "model", "clip", "precision", "batch", "steps", "clips_per_second", "data_wait", "memory_mib",
    "tflops", "peak_tflops", "share_of_peak",
)  # fmt: skip
NETWORKS = ("slowfast_r50", "mvitv2_s_16x4")
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LEFT_OUT = 2  # steps that do not count


def peak(precision: str) -> float:
    """FLOP/s of a product of large matrices: the best of some."""
    cuda = torch.cuda.is_available()
    size, device = (8192, "cuda") if cuda else (2048, "cpu")
    torch.backends.cuda.matmul.allow_tf32 = False
    one = torch.randn(size, size, device=device, dtype=TYPES[precision])
    best = 0.0
    for _ in range(10):
        began = time.perf_counter()
        one @ one
        if cuda:
            torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def archdsl(*arguments: str) -> str:
    """Runs the command line as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "archdsl", *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode:
        sys.exit(f"archdsl {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout


def measured(model: str, precision: str, batch: int, videos: int, folder: Path) -> dict[str, object]:
    """One row."""
    spec, run = ROOT / "specs" / f"{model}.arch", folder / model
    cost = json.loads(archdsl("cost", str(spec), "--json"))
    size = "x".join(map(str, cost["input"]))
    archdsl(
        "train", str(spec), "--data", "synthetic", "--videos", str(videos), "--clip", size, "--batch", str(batch),
        "--precision", precision, "--recipe", "epochs=2", "-o", str(run),
    )  # fmt: skip
    with (run / "steps.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[LEFT_OUT:]
    speed = statistics.median(float(row["clips_per_second"]) for row in rows)
    flops, best = 6 * cost["macs"] * speed, peak(precision)
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else tool_speed.machine()["processor"],
        "model": model,
        "clip": size,
        "precision": precision,
        "batch": batch,
        "steps": len(rows),
        "clips_per_second": f"{speed:.3f}",
        "data_wait": f"{statistics.median(float(row['data_wait']) for row in rows):.3f}",
        "memory_mib": round(max(int(row["memory"]) for row in rows) / 2**20),
        "tflops": f"{flops / 1e12:.3f}",
        "peak_tflops": f"{best / 1e12:.3f}",
        "share_of_peak": f"{flops / best:.3f}",
    }


def main() -> None:
    """Reads the arguments."""
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description="Clips/s, memory and share of the peak of training.")
    parser.add_argument("models", nargs="*", default=NETWORKS, metavar="MODEL")
    parser.add_argument("--precision", choices=TYPES, default="bf16")
    parser.add_argument("--batch", type=int, default=16 if cuda else 2)
    parser.add_argument("--videos", type=int, default=20 if cuda else 1, help="of each of eight classes")
    arguments = parser.parse_args()
    kept = []
    if RESULTS.exists():
        with RESULTS.open(newline="", encoding="utf-8") as file:
            kept = list(csv.DictReader(file))
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            row = measured(model, arguments.precision, arguments.batch, arguments.videos, Path(folder))
            print(row, flush=True)
            key = ("device", "model", "clip", "precision", "batch")
            kept = [k for k in kept if any(str(k[c]) != str(row[c]) for c in key)] + [row]
            with RESULTS.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(kept)


if __name__ == "__main__":
    main()
