"""`archdsl data check`: a check of all videos of a data set before training."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.commands import values
from archdsl.commands.common import analysed
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import SpecOptions, spec_arguments
from archdsl.commands.running import check_reading, show_progress
from archdsl.commands.training_options import DataOptions, data_arguments

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser
    from archdsl.train.data.clips import Sampling


EXAMPLES = (
    ("data check videos/", "Look at the first, middle and last frame of every video."),
    (
        "data check videos/train.csv --spec my_model.arch --full",
        "Decode all frames; also find short videos.",
    ),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("data", metavar="DIR|LIST", help="Videos, as `archdsl train --data` takes them.")
    data_arguments(parser.group("videos"))
    parser.group("clips").add_argument(
        "--spec", metavar="SPEC", help="Also report videos that are too short for the clips of this spec."
    )
    spec_arguments(parser, recipe=True)
    work = parser.group("work and output")
    work.add_argument(
        "--full", action="store_true", help="Decode all frames (default: the first, the middle and the last)."
    )
    work.add_argument(
        "--workers", type=values.natural, metavar="N",
        help="Number of processes that read videos (default: one for each core, 8 at most).",
    )  # fmt: skip
    work.add_argument("--json", action="store_true", help="Print JSON in place of text.")


@dataclass(frozen=True, kw_only=True)
class Options(SpecOptions, DataOptions):
    """Options of `archdsl data check`."""

    data: str
    spec: str | None
    full: bool
    workers: int | None
    json: bool


def run(options: Options) -> int:
    """Print a report of the videos; return 1 if one cannot be used."""
    check_reading()
    options, sampling = _of_spec(options.spec, options) if options.spec is not None else (options, None)
    from archdsl.train.data.check import check_data
    from archdsl.train.data.listing import read_split, without_classes

    val, root, classes = (None if p is None else Path(p) for p in (options.val, options.root, options.classes))
    unlabelled = without_classes(Path(options.data), root) if options.label is options.task is None else None
    split = unlabelled or read_split(
        Path(options.data), val, root, classes, label=options.label, fold=options.fold, group=options.group,
        task=options.task,
    )  # fmt: skip
    workers = min(os.cpu_count() or 1, 8) if options.workers is None else options.workers
    shown = show_progress if sys.stderr.isatty() else None
    report = check_data(split, sampling, full=options.full, workers=workers, progress=shown)
    print(json.dumps(report.as_dict(), indent=2, ensure_ascii=False) if options.json else report.as_text())
    return int(bool(report.faulty or report.short))


def _of_spec(spec: str, options: Options) -> tuple[Options, Sampling]:
    """Return the options with the task of a spec's network, and the temporal sampling of its clips."""
    from archdsl.train.data.clips import Sampling
    from archdsl.train.networks import clip_of, columns_of, task_of

    analysis = analysed(spec, options)
    show_diagnostics(analysis.warnings)
    network, recipe = analysis.network, analysis.network.recipe
    options = replace(options, task=task_of(network, options.task), label=columns_of(network, options.label))
    return options, Sampling(clip_of(network)[1], recipe.interval, recipe.fps, recipe.sampling, recipe.short)
