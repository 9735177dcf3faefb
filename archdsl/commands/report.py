"""`archdsl report`: comparison of training runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.commands.running import RUNS
from archdsl.core.table import Table, as_csv, as_markdown, as_text
from archdsl.files import UsageError
from archdsl.train.best import metric_of
from archdsl.train.figures import differing, figures_of, shown, test_line
from archdsl.train.run import CONFIG

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser
    from archdsl.train.figures import Figures

EXAMPLES = (
    ("report runs/slow_r50-*", "Compare runs: the settings that differ, and the best epoch of each."),
    ("report runs/slow_r50-1", "Show the figures of one run, and where its report is."),
)
FORMATS = ("text", "csv", "markdown", "json")
NONE = "–"
PLANNED = "recipe.epochs"  # is in the column of epochs


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="Folders of `archdsl train` (default: all runs in runs/)."
    )
    parser.group("output").add_argument(
        "--format", choices=FORMATS, default="text", help="Format of the table (default: text)."
    )


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl report`."""

    runs: tuple[str, ...]
    format: str


def run(options: Options) -> int:
    """Print a table with a row for each run, or the figures of a single one."""
    runs = [figures_of(folder) for folder in map(Path, options.runs)] if options.runs else _all()
    if options.format == "json":
        print(json.dumps([_json(figures) for figures in runs], indent=2, ensure_ascii=False))
    elif options.format == "csv":
        print(as_csv(_csv_rows(runs)))
    elif options.format == "markdown" or len(runs) > 1:
        table = (as_markdown if options.format == "markdown" else as_text)(_table(runs))
        notes = [line for figures in runs for line in figures.changed]
        print("\n".join([table, *([""] if notes else []), *notes]))
    else:
        print(_lines(runs[0]))
    return 0


def _all() -> list[Figures]:
    folders = sorted(path.parent for path in RUNS.glob(f"*/{CONFIG}"))
    if not folders:
        raise UsageError(f"no runs in {RUNS}/; name the folders of runs, as in `archdsl report experiments/*`")
    return [figures_of(folder) for folder in folders]


def _lines(figures: Figures) -> str:
    """Return the figures of one run."""
    lines = [f"{figures.folder}: {figures.spec}, {figures.state}"]
    if figures.best is None:
        lines.append(f"no epoch of {figures.planned} is complete")
    else:
        lines += [*figures.changed, figures.end, f"{figures.speed:.1f} clips/s in training, the mean over epochs"]
    if figures.state == "unfinished":
        lines.append(f"`archdsl train --resume {figures.folder}` resumes it")
    lines += [f"test: {test_line(figures.test)}"] if figures.test is not None else []
    lines += [f"the report is {figures.summary}"] if figures.summary is not None else []
    return "\n".join(lines)


def _columns(runs: list[Figures]) -> dict[str, str]:
    """Return the settings that differ, with their heads: the last word of their name where that is unique."""
    names = [name for name in differing(runs) if name != PLANNED]
    short = [name.rpartition(".")[2] for name in names]
    return {name: word if short.count(word) == 1 else name for name, word in zip(names, short, strict=True)}


def _table(runs: list[Figures]) -> Table:
    columns, metrics = _columns(runs), {figures.metric for figures in runs}
    title = f"best {metric_of(runs[0].metric).title}" if len(metrics) == 1 else "best"
    rows = (
        (
            str(figures.folder), figures.spec, figures.state,
            *(shown(figures.settings.get(name)) for name in columns),
            f"{figures.epochs}/{figures.planned}", _best(figures, named=len(metrics) > 1),
            NONE if figures.best is None else f"{figures.best['epoch']:.0f}",
            NONE if figures.speed is None else f"{figures.speed:.1f}",
        )
        for figures in runs
    )  # fmt: skip
    return Table(("run", "spec", "state", *columns.values(), "epochs", title, "at epoch", "clips/s"), tuple(rows), 4)


def _best(figures: Figures, *, named: bool) -> str:
    if figures.best_value is None:
        return NONE
    metric = metric_of(figures.metric)
    return f"{metric.title} {metric.text(figures.best_value)}" if named else metric.text(figures.best_value)


def _csv_rows(runs: list[Figures]) -> list[list[object]]:
    columns = _columns(runs)
    figures = ["epochs", "planned_epochs", "metric", "best", "best_epoch", "clips_per_second"]
    rows: list[list[object]] = [["run", "spec", "state", *columns, *figures]]
    for each in runs:
        settings = (each.settings.get(name) for name in columns)
        best = each.best_value, None if each.best is None else int(each.best["epoch"])
        rows.append([each.folder, each.spec, each.state, *settings, each.epochs, each.planned, each.metric, *best])
        rows[-1].append(each.speed)
    return rows


def _json(figures: Figures) -> dict[str, Any]:
    best = None
    if figures.best is not None:
        best = {"metric": figures.metric, "value": figures.best_value, "epoch": int(figures.best["epoch"])}
    return {
        "run": str(figures.folder),
        "spec": figures.spec,
        "state": figures.state,
        "epochs": figures.epochs,
        "planned_epochs": figures.planned,
        "best": best,
        "clips_per_second": figures.speed,
        "test": figures.test,
        "summary": None if figures.summary is None else str(figures.summary),
        "settings": figures.settings,
        "changes": figures.changes,
    }
