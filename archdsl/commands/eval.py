"""`archdsl eval`: evaluation of a trained module on videos."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.commands.running import check_packages, is_first, trained_run, views_of, write_report
from archdsl.commands.training_options import EngineOptions, ViewOptions, engine_arguments, view_arguments
from archdsl.files import DataError, UsageError

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser
    from archdsl.train.data.listing import Split
    from archdsl.train.run import Run

EXAMPLES = (
    ("eval runs/my_model-1 --clips 10 --crops 3", "Evaluate a run with 30 views of each video."),
    ("eval --data videos/test.csv --shuffle-frames", "Evaluate the last run on other videos, frames in random order."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="Folder of `archdsl train` (default: the run that was trained last)."
    )
    videos = parser.group("videos")
    videos.add_argument(
        "--data", metavar="DIR|LIST",
        help="Videos: a folder or list, of which `val/` or the column `split` is kept to (default: those for "
        "validation of the run).",
    )  # fmt: skip
    videos.add_argument(
        "--root", metavar="DIR", help="Folder that the paths of a list are relative to (default: that of the list)."
    )
    videos.add_argument(
        "--shuffle-frames", action="store_true",
        help="Shuffle the frames of each clip: the remaining accuracy does not depend on motion.",
    )  # fmt: skip
    view_arguments(parser)
    engine_arguments(parser.group("devices and loading"))
    parser.group("report").add_argument("-o", "--output", metavar="DIR", help="Folder to write (default: RUN/eval).")


@dataclass(frozen=True, kw_only=True)
class Options(ViewOptions, EngineOptions):
    """Options of `archdsl eval`."""

    run: str | None
    data: str | None
    root: str | None
    shuffle_frames: bool
    output: str | None


def run(options: Options) -> int:
    """Evaluate a run, on its own videos or on others."""
    check_packages()
    from archdsl.train.data.classes import ClassNames
    from archdsl.train.data.listing import read_tested
    from archdsl.train.evaluate import classify
    from archdsl.train.fit import split_of
    from archdsl.train.weights import trained

    run, folder = trained_run(options.run, options)
    if options.data is None and run.data.no_val:
        raise UsageError(f"{folder}: a run without validation (--no-val); name the videos with --data")
    if options.data is None:
        split = split_of(run.data, run.engine.seed)
    else:
        root = None if options.root is None else Path(options.root)
        indices = run.indices or tuple(range(len(run.classes)))
        known = ClassNames(run.classes, indices, explicit=bool(run.indices))
        split = read_tested(Path(options.data), root, known, label=run.data.label, fold=run.data.fold, task=run.task)
    _check_classes(run, split, options.data or run.data.data, folder)
    output = Path(options.output) if options.output is not None else folder / "eval"
    model = trained(run, folder, options.weights)
    views = views_of(options, run, shuffle_frames=options.shuffle_frames)
    metrics, line = write_report(classify(run, model, split.val, folder, views), output, folder)
    if is_first():
        note = f"{split.note}\n" if options.data is not None else ""
        text = f"{note}{line}\nthe report is {output / 'summary.md'}"
        print(json.dumps(metrics, indent=2) if options.json else text)
    return 0


def _check_classes(run: Run, split: Split, data: str, folder: Path) -> None:
    """Raise DataError if the videos have other classes than the run."""
    if split.classes == run.classes:
        return
    strange = [name for name in split.classes if name not in run.classes]
    known = f"its classes are not those of {folder / 'classes.txt'}"
    raise DataError(f"{data}: {known}" + (f", which has no {', '.join(strange[:5])}" if strange else ""))
