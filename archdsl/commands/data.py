"""`archdsl data check`: reads every video of a data set before a training does."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.commands.common import analysed, show_diagnostics
from archdsl.files import EnvironmentFault, UsageError

if TYPE_CHECKING:
    import argparse

    from archdsl.train.data.clips import Sampling


def command(arguments: argparse.Namespace) -> int:
    """Prints what there is and what is wrong with it; 1 if a video cannot be used."""
    from importlib.util import find_spec

    missing = [name for name, module in (("PyAV", "av"), ("torch", "torch")) if find_spec(module) is None]
    if missing:
        raise EnvironmentFault(f"`archdsl data` needs {' and '.join(missing)}: pip install 'archdsl[train]'")
    sampling = _sampling(arguments) if arguments.spec is not None else None
    from archdsl.train.data.check import check_data
    from archdsl.train.data.listing import loose_videos, read_split

    val, root, classes = (None if p is None else Path(p) for p in (arguments.val, arguments.root, arguments.classes))
    split = loose_videos(Path(arguments.data)) or read_split(Path(arguments.data), val, root, classes)
    workers = min(os.cpu_count() or 1, 8) if arguments.workers is None else arguments.workers
    if workers < 0:
        raise UsageError(f"--workers {workers}: there cannot be fewer than 0")
    shown = _show_progress if sys.stderr.isatty() else None
    report = check_data(split, sampling, full=arguments.full, workers=workers, progress=shown)
    print(json.dumps(report.as_dict(), indent=2, ensure_ascii=False) if arguments.json else report.as_text())
    return int(bool(report.faulty or report.short))


def _sampling(arguments: argparse.Namespace) -> Sampling:
    """The clips of a spec, by its input and its recipe."""
    from archdsl.architecture import Architecture
    from archdsl.train.data.clips import Sampling
    from archdsl.train.run import clip_of

    analysis = analysed(arguments.spec, arguments)
    show_diagnostics(analysis.warnings)
    arch = Architecture(analysis)
    recipe = arch.recipe
    return Sampling(clip_of(arch)[1], recipe.interval, recipe.fps, recipe.sampling)


def _show_progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\rread {done} of {total} videos", end=end, file=sys.stderr, flush=True)
