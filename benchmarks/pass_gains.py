"""What each pass of the lowering gains: modules with all passes and without one, run in turn.

    python benchmarks/pass_gains.py [SPEC…] [--dtype f32 --batch 1 --runs 5 --device cpu] [--write-docs]

For each pass that does something in a spec, the median over the rounds of the time without it by the time with it:
above 1 the pass makes the module faster. Training is a step of forward, backward and SGD in the module for training;
inference runs the one for inference. Rows go to benchmarks/results/passes.csv, where they replace those of the same
setting; `--write-docs` makes the table in docs/performance.md of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import goals
import table
import torch
from measure import Setting, measured, runner, where
from peers import MODELS, SPECS

import archdsl
from archdsl.targets.torch.lower import lowered_with_counts, switchable

RESULTS = Path(__file__).parent / "results" / "passes.csv"
DEFAULT = ("r2plus1d_18", "slowfast_r50", "mvit_b_16x4", "mvitv2_s_16x4", "swin3d_t")
KEY = ("device", "model", "mode", "dtype", "batch", "pass")
HEAD = ("model", "pass", "mode", "batch", "without / with")
Line = dict[str, object]


def gains(name: str, mode: str, arguments: argparse.Namespace) -> list[Line]:
    """A row for each pass that does something in a spec."""
    size = MODELS[name].clip
    arch = archdsl.load(SPECS / f"{name}.arch", clip=size)
    counts = lowered_with_counts(arch._analysis.network, target=mode)[1]
    working = [p for p in switchable(mode) if counts[p]]
    setting = Setting(arguments.device, mode, arguments.dtype, arguments.batch, compiled=False)
    clip = torch.randn(arguments.batch, *size, device=arguments.device)
    weights = arch.build().state_dict()
    ready = []
    for left_out in ["", *working]:
        module = arch.build([left_out] if left_out else [], mode)
        module.load_state_dict(weights)
        ready.append(runner(left_out, module.to(arguments.device), clip, setting))
    seconds = measured(ready, arguments.runs, arguments.device, warm=False)
    return [
        {"device": arguments.device, "model": name, "mode": mode, "dtype": arguments.dtype}
        | {"batch": arguments.batch, "pass": p}
        | {"clip": "x".join(map(str, size)), "seconds": min(seconds[""]), "gain": table.ratio(seconds[p], seconds[""])}
        | {"runs": arguments.runs, "machine": where(arguments.device)}
        for p in working
    ]


def markdown(lines: list[Line]) -> str:
    """The rows as a table, one for each machine and type of numbers."""
    cells: list[tuple[str, list[str]]] = []
    for line in lines:
        words, gain = table.WORDS[str(line["mode"])], float(str(line["gain"]))
        row = [f"`{line['model']}`", f"`{line['pass']}`", words, str(line["batch"]), f"{gain:.2f}"]
        cells.append((f"{line['machine']}, {table.WORDS[str(line['dtype'])]}", row))
    return table.by_machine(HEAD, cells)


def main() -> None:
    """Measures, writes CSV and prints Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("specs", nargs="*", default=list(DEFAULT), metavar="SPEC")
    parser.add_argument("--mode", choices=("train", "infer"), nargs="+", default=["train", "infer"])
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--write-docs", action="store_true", help="write the table of the CSV file to the page")
    arguments = parser.parse_args()
    if arguments.write_docs:
        goals.write_page(passes=markdown(table.shown_lines(RESULTS)))
        return
    unknown = sorted(set(arguments.specs) - set(MODELS))
    if unknown:
        parser.error(f"no such models: {', '.join(unknown)}; there are {', '.join(MODELS)}")
    rows = {tuple(str(line[k]) for k in KEY): line for line in table.read_lines(RESULTS)}
    for name in arguments.specs:
        for mode in arguments.mode:
            found = gains(name, mode, arguments)
            rows.update({tuple(str(line[k]) for k in KEY): line for line in found})
            table.write_lines(RESULTS, list(rows.values()))
            print(markdown(found), flush=True)


if __name__ == "__main__":
    main()
