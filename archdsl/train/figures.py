"""The figures of a run, from the files in its folder: settings, progress, best epoch, speed, metrics of the test."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from archdsl.files import DataError
from archdsl.train.best import best_of, ending, is_exhausted, metric_of, metrics_among
from archdsl.train.run import load_run
from archdsl.train.stopping import is_locked
from archdsl.train.tables import epochs_table, history_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from archdsl.train.best import Row
    from archdsl.train.run import Run

SUMMARY = "report/summary.md"
# Fields of a run that follow from others, or are in columns of their own.
NO_SETTINGS = (
    "name",
    "command",
    "source",
    "spec",
    "files",
    "blocks",
    "classes",
    "indices",
    "scale",
    "masking",
    "changes",
    "weights",
)
OF_COMMAND = {"--weights": "weights", "--from": "weights_from", "--weights-spec": "weights_spec"}


@dataclass(frozen=True)
class Figures:
    """The figures of a run."""

    folder: Path
    spec: str
    state: str  # complete, stopped early, running or unfinished
    epochs: int  # completed
    planned: int
    metric: str  # that decides which epoch is the best
    best: Row | None  # None before the end of the first epoch, and without validation
    speed: float | None  # clips/s, the mean over epochs
    settings: Mapping[str, Any]  # by name, such as `recipe.lr`
    test: Mapping[str, Any] | None  # metrics of the test at the end of the training
    end: str  # a sentence on the end of the training
    changes: tuple[Mapping[str, Any], ...]  # of settings and videos when the run was resumed

    @property
    def best_value(self) -> float | None:
        """The metric of the best epoch; None if it is no number."""
        value = math.nan if self.best is None else self.best.get(self.metric, math.nan)
        return None if math.isnan(value) else value

    @property
    def changed(self) -> list[str]:
        """A line for each change of settings or videos; `settings` are those of now."""
        changes = ((c["step"], [*c["settings"], *["videos"] * bool(c["videos"])]) for c in self.changes)
        return [f"{self.folder}: changed after step {step}: {', '.join(names)}" for step, names in changes]

    @property
    def summary(self) -> Path | None:
        """The summary of the test, if it exists."""
        return path if (path := self.folder / SUMMARY).exists() else None


def figures_of(folder: Path) -> Figures:
    """Return the figures of the run in a folder.

    Raises:
        UsageError: if the folder has no run.
        DataError: if its files are damaged.
    """
    run, table = load_run(folder), epochs_table(folder)
    try:
        history = history_of(table)
        speeds = [float(row["clips_per_second"]) for row in table.rows()]
    except (ValueError, KeyError) as error:
        raise DataError(f"{table.path}: not a table of epochs by `archdsl train`: {error}") from None
    engine, planned = run.engine, run.recipe.epochs
    best = None if run.data.no_val else best_of(history, engine.best)
    test = _test(folder / "report/metrics.json")
    return Figures(
        folder, run.name, _state(run, folder, history, is_tested=test is not None), len(history), planned, engine.best,
        best, sum(speeds) / len(speeds) if speeds else None, settings_of(run), test,
        ending(history, engine.best, engine.patience, planned), run.changes,
    )  # fmt: skip


def _state(run: Run, folder: Path, history: list[Row], *, is_tested: bool) -> str:
    if is_locked(folder):
        return "running"
    if is_tested and len(history) >= run.recipe.epochs:
        return "complete"
    if is_tested and is_exhausted(history, run.engine.best, run.engine.patience):
        return "stopped early"
    return "unfinished"


def _test(path: Path) -> dict[str, Any] | None:
    """Return the metrics of the test, without those of each class or target; None without a test."""
    try:
        metrics: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    return {name: value for name, value in metrics.items() if not name.startswith("by_")}


def settings_of(run: Run) -> dict[str, Any]:
    """Return all settings of a run by name: `set` for parameters of the spec, `recipe.lr`, `engine.batch` and so on."""
    fields = {**asdict(run), "recipe": run.recipe.as_dict(), "clip": "x".join(map(str, run.clip))}
    command = next((line for line in run.source.splitlines() if line.startswith("#     archdsl compile ")), "")
    own, trained = _options(command), _options(run.command)
    settings: dict[str, Any] = {"set": " ".join(value for name, value in own if name == "--set") or None}
    settings |= {name: dict(trained).get(option) for option, name in OF_COMMAND.items()}
    for name, value in fields.items():
        if name in NO_SETTINGS:
            continue
        if isinstance(value, dict):
            settings |= {f"{name}.{inner}": each for inner, each in cast("dict[str, Any]", value).items()}
        else:
            settings[name] = value
    return settings


def _options(command: str) -> Iterator[tuple[str, str]]:
    """Yield the options of a command line with their values."""
    words = shlex.split(command, comments=False)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            yield name, value if equals else following


def shown(value: Any) -> str:
    """Format a setting."""
    if value is None or value in ((), []):
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, cast('list[Any]', value)))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def differing(runs: list[Figures]) -> list[str]:
    """Return the names of the settings that are not the same in all runs."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [name for name in names if any(run.settings.get(name) != runs[0].settings.get(name) for run in runs)]


def test_line(test: Mapping[str, Any]) -> str:
    """Format the metrics of a test as a line."""
    if not test.get("videos") and not test.get("skipped"):
        return "none, since the run has no validation (--no-val)"
    measured = [(metric_of(name), test[name]) for name in metrics_among(test) if test[name] is not None]
    scores = [f"{metric.title} {metric.text(value)}" for metric, value in measured]
    return f"{test.get('videos')} videos, {test.get('views')}: {', '.join(scores) or 'none could be read'}"
