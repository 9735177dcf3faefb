"""Shared steps of `train`, `eval` and `predict`."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.commands.training_options import EngineOptions
from archdsl.files import EnvironmentFault, UsageError

if TYPE_CHECKING:
    from archdsl.commands.training_options import ViewOptions
    from archdsl.train.engine import Engine
    from archdsl.train.evaluate import Views
    from archdsl.train.report import Result
    from archdsl.train.run import Run

RUNS = Path("runs")


def check_packages() -> None:
    """Raise EnvironmentFault if packages for training are not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("torch", "lightning", "av", "matplotlib") if find_spec(name) is None]
    if missing:
        raise EnvironmentFault(f"missing: {', '.join(missing)}; pip install 'archdsl[train]'")
    from archdsl.train.environment import check_torchvision

    check_torchvision()


def check_reading() -> None:
    """Raise EnvironmentFault if packages that read videos are not installed."""
    from importlib.util import find_spec

    missing = [name for name, module in (("PyAV", "av"), ("torch", "torch")) if find_spec(module) is None]
    if missing:
        raise EnvironmentFault(f"`archdsl data` needs {' and '.join(missing)}: pip install 'archdsl[train]'")


def show_progress(done: int, total: int) -> None:
    """Print how many videos are done, in place of the last line."""
    end = "\n" if done == total else ""
    print(f"\r{done} of {total} videos", end=end, file=sys.stderr, flush=True)


def is_first() -> bool:
    """Return True in the first process of a run, which writes files and prints."""
    from archdsl.train.fit import rank_of

    return rank_of() == 0


def warn_of_precision(engine: Engine) -> None:
    """Print a warning if the precision of an engine is not safe on its device."""
    from archdsl.train.fit import precision_warning

    text = precision_warning(engine)
    if text and is_first():
        print(f"archdsl: warning: {text}", file=sys.stderr)


def trained_run(folder: str | None, options: EngineOptions) -> tuple[Run, Path]:
    """Return a trained run and its folder; it uses one device unless the options set another number.

    Args:
        folder: the folder of the run; None for the run trained last.
        options: engine settings that override those of the run.

    Raises:
        UsageError: if the run does not exist.
        DataError: if its files are damaged.
    """
    from archdsl.train.environment import with_started
    from archdsl.train.run import load_run

    path = Path(folder) if folder is not None else _latest()
    run = load_run(path)
    given = {f.name: getattr(options, f.name) for f in fields(EngineOptions)}
    engine = replace(run.engine, strategy="ddp", devices=1, nodes=1, compile=False)
    engine = replace(engine, **{name: value for name, value in given.items() if value is not None})
    run = replace(run, engine=with_started(engine, options.devices, options.nodes))
    warn_of_precision(run.engine)
    return run, path


def _latest() -> Path:
    found = sorted(RUNS.glob("*/weights.safetensors"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise UsageError("no trained run in runs/; choose one with --run, or train one: archdsl train SPEC --data …")
    return found[-1].parent


def views_of(options: ViewOptions, run: Run, *, shuffle_frames: bool = False) -> Views:
    """Return the views of each video, from the options or else the recipe."""
    from archdsl.train.evaluate import Views

    recipe = run.recipe
    return Views(options.clips or recipe.test_clips, options.crops or recipe.test_crops, shuffle_frames)


def write_report(result: Result, output: Path, folder: Path) -> tuple[dict[str, Any], str]:
    """Write a report, in the first process; return the metrics, and a line of text with them."""
    from archdsl.train.report import line, write

    if not is_first():
        return {}, ""
    metrics = write(result, output, folder)
    return metrics, line(metrics)
