"""How fast generated modules are beside their peers: the same weights, the same clips, runs alternated round by round.

    pip install 'archdsl[torch]' torchvision transformers
    python benchmarks/model_speed.py [SPEC…] [--mode both --dtype f32 bf16 --batch 1 2 --compile both]
    python benchmarks/model_speed.py --profile [SPEC…]
    python benchmarks/model_speed.py --summary | --write-docs

Rows go to a CSV file, where they replace those of the same setting. A peer runs as it is shipped and `tuned`: weights
and clips channels-last, attention being torch's own already wherever the library has the choice; with `--compile`, all
sides are compiled. Outputs are compared before anything is timed; a peer that does not agree is not timed. A step of
training is forward, backward and SGD. Medians count; behind them the spread, half of the range between the quartiles. A
ratio is the median of those of the rounds; above 1 we are faster. Clips are as the peers have them, or small with
`--quick`. Each model runs in a process of its own. `--profile` writes what share of the device's rates each of our
modules reaches.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ceiling
import goals
import table
import torch
from measure import Setting, measured, where
from peers import MODELS, SPECS, Clip, Peer
from sides import Sides, cells

import archdsl

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BATCHES = {"cpu": [1, 2], "cuda": [2, 8]}
TOLERANCE = 1e-4


class SpecModules:
    """The modules of a spec, compiled for clips of a size and the conventions of a peer."""

    def __init__(self, name: str, peer: Peer | None, size: Clip) -> None:
        self.source = peer.source if peer else ""
        self.arch = archdsl.load(SPECS / f"{name}.arch", clip=size, like=self.source or None)

    def build(self, target: str) -> torch.nn.Module:
        """Return the module for a target."""
        return self.arch.build(target=target)

    def convert(self, theirs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return a peer's state dict by our names."""
        return archdsl.convert_weights(self.arch, theirs, self.source)


def settings(arguments: argparse.Namespace) -> list[Setting]:
    """All that is asked for."""
    modes = ["infer", "train"] if arguments.mode == "both" else [arguments.mode]
    compiled = {"no": [False], "yes": [True], "both": [False, True]}[arguments.compile]
    every = itertools.product(compiled, modes, arguments.dtype, arguments.batch)
    return [Setting(arguments.device, mode, dtype, batch, how) for how, mode, dtype, batch in every]


def row(name: str, sides: Sides, peer: Peer | None, setting: Setting, runs: int) -> table.Row:
    """One setting, measured."""
    torch._dynamo.reset()
    found = cells(sides.runners(setting), runs, setting, warm=setting.mode == "train")
    size, library = "x".join(map(str, sides.size)), peer.library if peer else ""
    return table.Row(
        setting.device, name, size, library, *setting[1:], **found, runs=runs, machine=where(setting.device)
    )


def rows_of(name: str, peer: Peer | None, arguments: argparse.Namespace) -> None:
    """All settings of a model beside a peer, written as they come."""
    sides = Sides(peer, arguments.clip, arguments.device, SpecModules(name, peer, arguments.clip))
    differences: dict[str, float | None] = {}
    rows: list[table.Row] = []
    for setting in settings(arguments):
        if setting.mode not in differences:
            differences[setting.mode] = sides.difference(setting.mode)
        difference = differences[setting.mode]
        if difference is not None and not difference <= TOLERANCE:  # NaN neither
            sys.exit(f"the outputs differ by {difference:.1e} of the largest")
        try:
            rows.append(replace(row(name, sides, peer, setting, arguments.runs), difference=difference))
        except torch.OutOfMemoryError:
            print(f"{name}, {setting}: not enough memory", file=sys.stderr)
        table.write(arguments.part, rows)


def reached(name: str, arguments: argparse.Namespace) -> None:
    """What share of the device's rates a module reaches, and where its time goes, written as they come."""
    modules = SpecModules(name, None, arguments.clip)
    sides = Sides(None, arguments.clip, arguments.device, modules)
    lines: list[dict[str, Any]] = []
    for setting in settings(arguments):
        step = sides.runners(setting)[0]
        seconds = statistics.median(measured([step], arguments.runs, setting.device, warm=False)["ours"])
        work = 2 * modules.arch.macs * setting.batch * (3 if setting.mode == "train" else 1)
        lines.append(
            {"model": name, "clip": "x".join(map(str, sides.size)), "mode": setting.mode, "dtype": setting.dtype}
            | {"batch": setting.batch, "seconds": seconds, "GFLOP/s": work / seconds / 1e9}
            | {"GB/s": ceiling.traffic(step.run) / seconds / 1e9}
            | ceiling.shares(step, setting.device)
        )
        table.write_lines(arguments.part, lines)


def in_process(name: str, library: str, arguments: argparse.Namespace) -> Path:
    """Measures a model in a process of its own; the file that it wrote, if it got so far."""
    part = arguments.folder / f"{name}_{library or 'alone'}.csv"
    clip = arguments.clip or (MODELS[name].small if arguments.quick else MODELS[name].clip)
    command = [sys.executable, __file__, name, "--part", str(part), "--peer", library, "--runs", str(arguments.runs)]
    command += ["--device", arguments.device, "--mode", arguments.mode, "--compile", arguments.compile]
    command += ["--dtype", *arguments.dtype, "--batch", *map(str, arguments.batch), "--clip", "x".join(map(str, clip))]
    beside = f" beside {library}" if library else ""
    print(f"{name}{beside} …", file=sys.stderr, flush=True)
    if subprocess.run(command + ["--profile"] * arguments.profile, check=False, stdout=sys.stderr).returncode:
        print(f"{name}{beside}: failed", file=sys.stderr)
    return part


def measure_all(arguments: argparse.Namespace) -> list[table.Row]:
    """All models beside all peers that are installed; the file grows model by model."""
    rows: list[table.Row] = []
    hints: set[str] = set()
    for name in arguments.specs:
        there = [p.library for p in MODELS[name].peers if not p.missing]
        for missing in {f"{p.library} is not installed: {p.missing}" for p in MODELS[name].peers if p.missing} - hints:
            print(missing)
            hints.add(missing)
        for library in there or [""]:
            rows += table.read(in_process(name, library, arguments))
            if rows:
                table.write(arguments.csv, table.merged(table.read(arguments.csv), rows))
    return rows


def profile_all(arguments: argparse.Namespace) -> str:
    """The ceiling of the device and the share that each model reaches, as CSV and Markdown in the folder of results."""
    device = arguments.device
    width = ceiling.bandwidth(device) / 1e9
    rates = {dtype: ceiling.matrix_rate(device, dtype) / 1e9 for dtype in arguments.dtype}
    lines: list[dict[str, Any]] = []
    for name in arguments.specs:
        part = in_process(name, "", arguments)
        if part.exists():
            with part.open(encoding="utf-8", newline="") as file:
                lines += csv.DictReader(file)
    for found in lines:
        found["share of rate"] = float(found["GFLOP/s"]) / rates[found["dtype"]]
        found["share of bandwidth"] = float(found["GB/s"]) / width
    if lines:
        table.write_lines(
            arguments.results / f"ceiling_{device}.csv", [found | {"machine": where(device)} for found in lines]
        )
    figures = ("seconds", "GFLOP/s", "GB/s", "share of rate", "share of bandwidth")
    setting = ("model", "clip", "mode", "dtype", "batch")
    measured_rates = ", ".join(f"{rate:.0f} GFLOP/s in {table.WORDS[dtype]}" for dtype, rate in rates.items())
    text = f"{where(device)}: at most {measured_rates}, {width:.1f} GB/s.\n\n"
    for columns in (figures, ceiling.TABLE):
        percent = [c for c in columns if c in ceiling.TABLE or c.startswith("share")]
        shown = [
            [f[c] for c in setting] + [f"{float(f[c]):.1%}" if c in percent else f"{float(f[c]):.3g}" for c in columns]
            for f in lines
        ]
        text += table.markdown(setting + columns, shown) + "\n"
    (arguments.results / f"ceiling_{device}.md").write_text(text.rstrip() + "\n", "utf-8")
    return text


def parsed() -> argparse.Namespace:
    """The arguments, what depends on others filled in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("specs", nargs="*", metavar="SPEC", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--mode", choices=("train", "infer", "both"), default="both")
    parser.add_argument("--dtype", nargs="+", choices=("f32", "bf16"), default=["f32"])
    parser.add_argument("--batch", nargs="+", type=int, help="two sizes that fit the device, if left out")
    parser.add_argument("--compile", choices=("no", "yes", "both"), nargs="?", const="yes", default="no")
    parser.add_argument("--clip", type=lambda text: tuple(map(int, text.split("x"))), help="CxTxHxW, for all models")
    parser.add_argument("--runs", type=int, help="5, if left out")
    parser.add_argument("--quick", action="store_true", help="small clips and few runs, into out/speed.csv")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where --profile writes")
    parser.add_argument("--profile", action="store_true", help="the share of the device's rates instead of peers")
    parser.add_argument("--summary", action="store_true", help="print the goals and tables of the CSV file")
    parser.add_argument("--write-docs", action="store_true", help="write them to docs/performance.md")
    parser.add_argument("--peer", default="", help=argparse.SUPPRESS)
    parser.add_argument("--part", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := set(arguments.specs) - set(MODELS):
        parser.error(f"no such models: {', '.join(sorted(unknown))}")
    arguments.specs = arguments.specs or list(MODELS)
    arguments.batch = arguments.batch or BATCHES[arguments.device]
    arguments.runs = arguments.runs or (3 if arguments.quick else 5)
    arguments.csv = arguments.csv or (ROOT / "out" / "speed.csv" if arguments.quick else RESULTS / "speed.csv")
    return arguments


def main() -> None:
    """Measures, writes CSV and prints Markdown; or does what else is asked for."""
    arguments = parsed()
    torch.backends.cudnn.benchmark = True  # for all sides
    if arguments.part:
        name = arguments.specs[0]
        peers = [p for p in MODELS[name].peers if p.library == arguments.peer]
        if arguments.profile:
            reached(name, arguments)
        else:
            rows_of(name, peers[0] if peers else None, arguments)
        return
    if arguments.write_docs:
        shares = ceiling.summary(table.read_lines(arguments.results / "ceiling_cpu.csv"))
        goals.write_page(**goals.tables(goals.rows_of(arguments.csv)), ceiling=shares)
        return
    if arguments.summary:
        rows = goals.rows_of(arguments.csv)
        print(goals.goals_table(rows), table.speed_tables(rows), sep="\n", end="")
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder = Path(folder)
        if arguments.profile:
            print(profile_all(arguments), end="")
        else:
            rows = measure_all(arguments)
            print(table.speed_tables(rows), goals.goals_table(rows), sep="\n", end="")


if __name__ == "__main__":
    main()
