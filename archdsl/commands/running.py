"""Shared steps of `train`, `eval` and `predict`."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.commands.training_options import EngineOptions
from archdsl.files import EnvironmentFault, UsageError

if TYPE_CHECKING:
    from archdsl.commands.training_options import ViewOptions
    from archdsl.train.evaluate import Views
    from archdsl.train.report import Result
    from archdsl.train.run import Run

RUNS = Path("runs")


def check_packages() -> None:
    """Raise EnvironmentFault where the packages for training are not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("torch", "lightning", "av", "matplotlib") if find_spec(name) is None]
    if missing:
        raise EnvironmentFault(f"missing: {', '.join(missing)}; pip install 'archdsl[train]'")


def is_first() -> bool:
    """Return whether this is the first of the processes of a run, the one that writes and prints."""
    from archdsl.train.fit import rank_of

    return rank_of() == 0


def trained_run(folder: str | None, options: EngineOptions) -> tuple[Run, Path]:
    """Return a run that was trained and its folder; it is carried out on one device unless the options say otherwise.

    Args:
        folder: of the run; the run that was trained last, if None.
        options: how to carry it out.

    Raises:
        UsageError: if there is none.
        DataError: if its files are damaged.
    """
    from archdsl.train.run import load_run

    path = Path(folder) if folder is not None else _latest()
    run = load_run(path)
    given = {f.name: getattr(options, f.name) for f in fields(EngineOptions)}
    engine = replace(run.engine, strategy="ddp", devices=1, nodes=1, compile=False)
    engine = replace(engine, **{name: value for name, value in given.items() if value is not None})
    return replace(run, engine=engine), path


def _latest() -> Path:
    found = sorted(RUNS.glob("*/weights.safetensors"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise UsageError(
            "there is no trained run in runs/; name one with --run, or train one: archdsl train SPEC --data …"
        )
    return found[-1].parent


def views_of(options: ViewOptions, run: Run, *, shuffle_frames: bool = False) -> Views:
    """Return the views of each video: as many as the options or the recipe ask for."""
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
