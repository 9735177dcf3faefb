"""How fast the command line is: whole processes, from the start of Python to its end.

    python benchmarks/tool_speed.py [--runs 15] [--json FILE]

Each command is run in turn with the others, so that a change of the machine's pace meets all of them, and the median
counts. The files are in the disk cache, Python's and Lark's own caches are filled; nothing else is kept between runs.
Required of a 2-core machine: check ≤ 0.30 s, compile ≤ 0.45 s, and 2,000 layers less than 2.5 times the time of 1,000.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent
LIMITS = {"check": 0.30, "compile": 0.45}
RATIO_LIMIT = 2.5
# Many stages of residual blocks, as in real specs.
LONG = """\
arch long_{layers}
import resnet
input clip: video[3, 8, 32, 32]
stage stem {{ conv(32) -> bn -> relu }}
for i in 1..{rounds} {{
    stage res{{i}} {{ (bottleneck(8 + 8 * (i % 2), out = 32) -> conv(32, [1, 3, 3])) * 10 }}
}}
head: avgpool -> linear(10)
"""


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def seconds(command: Sequence[str], folder: Path) -> float:
    """The time of one process.

    Raises:
        SystemExit: if it fails.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return elapsed


def long_spec(folder: Path, layers: int) -> tuple[str, int]:
    """Writes a spec of about so many layers; its name, and how many they are."""
    rounds = 1
    while True:
        (folder / f"long_{layers}.arch").write_text(LONG.format(layers=layers, rounds=rounds))
        text = subprocess.run(
            [sys.executable, "-m", "archdsl", "check", f"long_{layers}.arch"],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        found = int(text.split("fine, ")[1].split()[0].replace(",", ""))
        needed = round(rounds * layers / found)
        if needed == rounds:
            return f"long_{layers}.arch", found
        rounds = needed


def measure(commands: dict[str, list[str]], folder: Path, runs: int) -> dict[str, list[float]]:
    """The times of each command, run in turn, after one run that fills the caches."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, command in commands.items():
            times[name].append(seconds(command, folder))
            for file in folder.glob("*.py"):  # so that each `compile` writes
                file.unlink()
    return {name: values[1:] for name, values in times.items()}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="The time of whole processes of the command line.")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--spec", type=Path, default=ROOT / "specs" / "slowfast_r101.arch")
    arguments = parser.parse_args()
    facts = machine()
    print("\n".join(f"{key}: {value}" for key, value in facts.items()))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archdsl = [sys.executable, "-m", "archdsl"]
        spec = str(arguments.spec.resolve())
        small, few = long_spec(folder, 1000)
        large, many = long_spec(folder, 2000)
        commands = {
            "python": [sys.executable, "-c", "pass"],
            "check": [*archdsl, "check", spec],
            "compile": [*archdsl, "compile", spec, "-o", name],
            "cost": [*archdsl, "cost", spec],
            f"check of {few:,} layers": [*archdsl, "check", small],
            f"check of {many:,} layers": [*archdsl, "check", large],
            f"compile of {few:,} layers": [*archdsl, "compile", small],
            f"compile of {many:,} layers": [*archdsl, "compile", large],
        }
        times = measure(commands, folder, arguments.runs)

    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"\n{arguments.spec.stem}, medians of {arguments.runs} runs in turn, seconds (lowest to highest)")
    for name, values in times.items():
        limit = f"  required: {LIMITS[name]:.2f}" if name in LIMITS else ""
        print(f"{name:26}{medians[name]:8.3f}  ({min(values):.3f} to {max(values):.3f}){limit}")
    ratios = {c: medians[f"{c} of {many:,} layers"] / medians[f"{c} of {few:,} layers"] for c in ("check", "compile")}
    for command, ratio in ratios.items():
        print(f"{command} of {many:,} layers against {few:,}: {ratio:.2f} times  required: below {RATIO_LIMIT}")
    if arguments.json:
        data = {"machine": facts, "spec": arguments.spec.stem, "runs": times, "medians": medians, "ratios": ratios}
        arguments.json.write_text(json.dumps(data, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
