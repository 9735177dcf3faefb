"""The report of a test: a folder with metrics, predictions and figures.

    summary.md        the metrics, with the figures below
    metrics.json      the metrics as JSON
    predictions.csv   for each video or segment: its class, the predicted class, probabilities, start and end in seconds
    losses.csv        instead of it, of a pre-training: for each video or segment the loss, start and end
    curves.png        loss, metrics and learning rate over the epochs
    confusion.png     confusion matrix; scatter.png of a regression: predicted numbers
    worst.png         film strips of the videos with the worst answers
    reconstructions.png  of a pre-training, some videos as they are, with a mask, and reconstructed

The curves need a run, and the film strips wrong answers. Predictions of several classes have the classes of the video
and the probability of each class, those of a regression each number and the predicted one.
"""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archdsl.files import write_atomically
from archdsl.train.best import ending, metric_of, metrics_among
from archdsl.train.pictures import curves, reconstructions, strips
from archdsl.train.run import load_run
from archdsl.train.tables import epochs_table, history_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

    from archdsl.train.data.sample import Sample
    from archdsl.train.objectives.base import Objective

TITLES = {"videos": "videos", "top1": "accuracy", "ap": "average precision"}  # of columns that are no metrics
RECONSTRUCTED = "Reconstructions, with the mean and deviation of each hidden patch from the video"


@dataclass(frozen=True)
class Result:
    """The result of a test."""

    samples: Sequence[Sample]
    objective: Objective
    indices: torch.Tensor  # (N,) into samples
    targets: torch.Tensor  # (N, …)
    answers: torch.Tensor  # (N, outputs)
    problems: dict[str, str]  # videos that could not be read: path -> reason
    views: str  # the views of each video, as text
    seconds: float
    strips: Mapping[int, torch.Tensor] = field(default_factory=dict[int, "torch.Tensor"])  # see `Pretraining`

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics as JSON data; None where they are undefined."""
        objective = self.objective
        return {
            "task": objective.task,
            "videos": len(self.indices),
            "skipped": len(self.problems),
            "views": self.views,
            **_defined(objective.scores(self.targets, self.answers)),
            **({objective.noun[1]: len(objective.names)} if objective.names else {}),
            "seconds": round(self.seconds, 2),
            **({f"by_{objective.noun[0]}": self.rows} if objective.names else {}),
        }

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The metrics of each class that has videos, or of each target, as JSON data."""
        rows = self.objective.rows(self.targets, self.answers) if len(self.indices) else {}
        return {name: _defined(row) for name, row in rows.items()}


def _defined(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}


def write(result: Result, folder: Path, run: Path | None = None) -> dict[str, Any]:
    """Write the report, with training curves if `run` is the folder of a run, and return the metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    metrics, objective = result.metrics, result.objective
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    _answers(result, folder / objective.file)
    pictures: list[tuple[str, str]] = []
    if run is not None and epochs_table(run).rows():
        curves(run, objective.shown, folder / "curves.png")
        pictures.append(("Training", "curves.png"))
    if len(result.indices):
        if result.strips:
            titles = {index: result.samples[index].path for index in sorted(result.strips)}
            reconstructions([(titles[index], result.strips[index]) for index in titles], folder / "reconstructions.png")
            pictures.append((RECONSTRUCTED, "reconstructions.png"))
        pictures += objective.draw(result.targets, result.answers, folder)
        worst = objective.worst(result.targets, result.answers)
        samples = [result.samples[int(result.indices[place])] for place, _ in worst]
        if strips(samples, [title for _, title in worst], folder / "worst.png"):
            pictures.append(("Worst answers", "worst.png"))
    write_atomically(folder / "summary.md", _summary(result, metrics, pictures, "" if run is None else ending_of(run)))
    return metrics


def ending_of(folder: Path) -> str:
    """Return a sentence on the end of a run; empty if no epoch is complete."""
    run = load_run(folder)
    return ending(history_of(epochs_table(folder)), run.engine.best, run.engine.patience, run.recipe.epochs)


def line(metrics: dict[str, Any]) -> str:
    """Format the metrics as one line."""
    if not metrics["videos"] and not metrics["skipped"]:
        return "no video was tested: the run has no validation (--no-val)"
    if not metrics["videos"]:
        return f"no video could be read ({metrics['skipped']} skipped)"
    skipped = f", {metrics['skipped']} skipped" if metrics["skipped"] else ""
    scores = [f"{metric_of(name).title} {_text(name, metrics[name])}" for name in metrics_among(metrics)]
    return f"{metrics['videos']} videos{skipped}, {metrics['views']}: {', '.join(scores)}"


def _text(name: str, value: float | None) -> str:
    """Format the value of a metric, or of another column of a table."""
    if value is None:
        return "undefined"
    if metrics_among([name]):
        return metric_of(name).text(value)
    return f"{value:.2%}" if isinstance(value, float) else str(value)


def _summary(result: Result, metrics: dict[str, Any], pictures: Sequence[tuple[str, str]], trained: str) -> str:
    lines = ["# Test report", "", line(metrics) + ".", ""]
    lines += [f"Training: {trained}.", ""] * bool(trained)
    lines += _table(result)
    for title, picture in pictures:
        lines += ["", f"## {title}", "", f"![{title}]({picture})"]
    if result.problems:
        lines += ["", "## Skipped", "", "| video | reason |", "|---|---|"]
        lines += [f"| {path} | {reason} |" for path, reason in sorted(result.problems.items())]
    return "\n".join(lines) + "\n"


def _table(result: Result) -> list[str]:
    """Return the table of the classes or targets, in Markdown."""
    rows = result.rows
    if not rows:
        return []
    columns = list(next(iter(rows.values()), {}))
    titles = [TITLES.get(name) or metric_of(name).title for name in columns]
    lines = [f"| {' | '.join([result.objective.noun[0], *titles])} |", "|---" * (len(columns) + 1) + "|"]
    return lines + [f"| {' | '.join([name, *map(_text, row, row.values())])} |" for name, row in rows.items()]


def _answers(result: Result, path: Path) -> None:
    """Write a table with a line for each video or segment."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        framed = any(sample.frames is not None for sample in result.samples)
        columns = ["video", *result.objective.columns, "start", "end"]
        writer.writerow([*columns, *["first_frame", "last_frame"] * framed])
        for index, target, answer in zip(result.indices.tolist(), result.targets, result.answers, strict=True):
            sample = result.samples[index]
            row = [sample.path, *result.objective.cells(target, answer), f"{sample.start:g}"]
            writer.writerow([*row, "" if sample.end is None else f"{sample.end:g}", *(sample.frames or ())])
