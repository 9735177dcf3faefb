"""Correctness and speed on a GPU, in one command of nine minutes that a second start goes on with.

    python benchmarks/gpu.py prepare                     # with archdsl: everything into out/gpu, less than 50 MiB
    python out/gpu/gpu.py run --out results              # with torch, einops and numpy alone
    python benchmarks/gpu.py write-docs --out results    # the CSV files to benchmarks/results, the tables to the page

Steps: correctness against the records of published implementations; training steps and inference beside the peers that
are installed, eager and compiled; memory against `archdsl plan`; what each pass gains; forms of code; the training step
of `archdsl train`. Each row is on the disk as soon as it is measured; one that fails or does not fit is written down as
such. `run` measures what `--out` does not hold yet, and what was skipped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import gpu_run
from gpu_journal import ALONE, COLUMNS, FAILED, MANIFEST

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def parsed() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="compile all that is measured into one folder; needs archdsl")
    prepare.add_argument("--to", type=Path, default=ROOT / "out" / "gpu", help="the folder (default: out/gpu)")
    prepare.add_argument("--batch", type=int, default=8, help="clips of a step of training (default: 8)")
    prepare.add_argument("--tiny", action="store_true", help="a few small networks, to try every step on a CPU")
    run = commands.add_parser("run", help="measure, from a prepared folder")
    run.add_argument("--out", type=Path, default=Path("results"), help="folder of the CSV files (default: results)")
    run.add_argument("--minutes", type=float, default=9.0, help="of the whole run (default: 9)")
    run.add_argument("--row-limit", type=float, default=90.0, help="seconds of one row (default: 90)")
    run.add_argument("--cache", type=Path, default=HERE / "cache", help="what torch.compile made (default: cache/)")
    run.add_argument("--again", nargs="+", choices=(FAILED, ALONE), default=[], help="rows to measure once more")
    docs = commands.add_parser("write-docs", help="take over CSV files, and write the tables of the page")
    docs.add_argument("--out", type=Path, help="folder of the CSV files; benchmarks/results if left out")
    worker = commands.add_parser("worker")
    for command in (run, worker):
        command.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
        command.add_argument("--backend", default="inductor", help="of torch.compile (default: inductor)")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> int:
    """Measure, print what was done; 1 if a row failed or does not hold."""
    if not (HERE / MANIFEST).exists():
        raise SystemExit(f"{HERE} is no prepared folder; `python benchmarks/gpu.py prepare` makes out/gpu")
    options = gpu_run.Options(HERE, arguments.cache, arguments.device, arguments.backend)
    limits = gpu_run.Limits(60 * arguments.minutes, arguments.row_limit)
    begun = gpu_run.Run(options, arguments.out, limits, arguments.again)
    gpu_run.measure_all(begun)
    failed = 0
    for step in COLUMNS:
        counts = begun.journal.counts(step)
        failed += counts[FAILED]
        print(f"{step}: {', '.join(f'{count} {status}' for status, count in counts.items() if count)}")
    wrong = begun.journal.wrong()
    print(*(f"does not hold: {' '.join(line.values())}" for line in wrong), sep="\n", end="\n" if wrong else "")
    return 1 if failed or wrong else 0


def main() -> int:
    """Do what is asked for."""
    arguments = parsed()
    if arguments.command == "run":
        return run(arguments)
    if arguments.command == "worker":
        from gpu_worker import serve

        serve(HERE, arguments.device, arguments.backend)
    elif arguments.command == "prepare":
        from gpu_prepare import prepare

        prepare(arguments.to, arguments.batch, tiny=arguments.tiny)
    else:
        from gpu_report import write_docs

        write_docs(arguments.out)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ModuleNotFoundError as error:
        raise SystemExit(f"{sys.executable} has no package `{error.name}`: start with the Python that has it") from None
