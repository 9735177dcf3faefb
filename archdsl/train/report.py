"""The report of a test: a folder with metrics, predictions and figures.

    summary.md        the metrics, with the figures below
    metrics.json      the metrics as JSON
    predictions.csv   for each video or segment: its class, the predicted class, probabilities, start and end in seconds
    curves.png        loss, accuracy and learning rate over the epochs
    confusion.png     confusion matrix
    worst.png         film strips of the worst misclassified videos

The curves need a run, and the film strips misclassified videos.
"""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archdsl.files import write_atomically
from archdsl.train.best import ending
from archdsl.train.data.opening import strip_of
from archdsl.train.data.videos import VideoError
from archdsl.train.run import load_run
from archdsl.train.tables import epochs_table, history_of, steps_table
from archdsl.train.task import accuracy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from archdsl.train.data.listing import Sample

WORST = 8  # film strips
STRIP = 8  # frames per film strip
MOST = 60  # maximum number of classes for which a confusion matrix has labels


@dataclass(frozen=True)
class Result:
    """The result of a test."""

    samples: Sequence[Sample]
    classes: Sequence[str]
    indices: torch.Tensor  # (N,) into samples
    labels: torch.Tensor  # (N,)
    shares: torch.Tensor  # (N, classes): probabilities
    problems: dict[str, str]  # videos that could not be read: path -> reason
    views: str  # the views of each video, as text
    seconds: float

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics as JSON data."""
        scores = accuracy(self.labels, self.shares)
        return {
            "videos": len(self.labels),
            "skipped": len(self.problems),
            "views": self.views,
            **{name: None if math.isnan(value) else value for name, value in scores.items()},
            "classes": len(self.classes),
            "seconds": round(self.seconds, 2),
            "by_class": self.by_class,
        }

    @property
    def by_class(self) -> dict[str, dict[str, Any]]:
        """The number of videos of each class that has any, and the top-1 accuracy among them."""
        best = self.shares.argmax(1)
        groups = ((name, self.labels == number, number) for number, name in enumerate(self.classes))
        return {
            name: {"videos": int(mine.sum()), "top1": (best[mine] == number).double().mean().item()}
            for name, mine, number in groups
            if mine.any()
        }


def write(result: Result, folder: Path, run: Path | None = None) -> dict[str, Any]:
    """Write the report, with training curves if `run` is the folder of a run, and return the metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    metrics = result.metrics
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    _predictions(result, folder / "predictions.csv")
    pictures: list[tuple[str, str]] = []
    if run is not None and epochs_table(run).rows():
        _curves(run, folder / "curves.png")
        pictures.append(("Training", "curves.png"))
    if len(result.labels):
        _confusion(result, folder / "confusion.png")
        pictures.append(("Confusion matrix", "confusion.png"))
        if _worst(result, folder / "worst.png"):
            pictures.append(("Worst misclassified videos", "worst.png"))
    write_atomically(folder / "summary.md", _summary(result, metrics, pictures, "" if run is None else ending_of(run)))
    return metrics


def ending_of(folder: Path) -> str:
    """Return a sentence on the end of a run; empty if no epoch is complete."""
    run = load_run(folder)
    return ending(history_of(epochs_table(folder)), run.engine.best, run.engine.patience, run.recipe.epochs)


def line(metrics: dict[str, Any]) -> str:
    """Format the metrics as one line."""
    if metrics["top1"] is None:
        return f"no video could be read ({metrics['skipped']} skipped)"
    skipped = f", {metrics['skipped']} skipped" if metrics["skipped"] else ""
    return (
        f"{metrics['videos']} videos{skipped}, {metrics['views']}: top-1 {metrics['top1']:.2%}, "
        f"top-5 {metrics['top5']:.2%}, loss {metrics['loss']:.3f}"
    )


def _summary(result: Result, metrics: dict[str, Any], pictures: Sequence[tuple[str, str]], trained: str) -> str:
    lines = ["# Test report", "", line(metrics) + ".", ""]
    lines += [f"Training: {trained}.", ""] * bool(trained)
    lines += ["| class | videos | accuracy |", "|---|---|---|"]
    for name, scores in result.by_class.items():
        lines.append(f"| {name} | {scores['videos']} | {scores['top1']:.1%} |")
    if result.by_class:
        lines.append(f"| mean of classes | | {metrics['mean_class_top1']:.1%} |")
    for title, picture in pictures:
        lines += ["", f"## {title}", "", f"![{title}]({picture})"]
    if result.problems:
        lines += ["", "## Skipped", "", "| video | reason |", "|---|---|"]
        lines += [f"| {path} | {reason} |" for path, reason in sorted(result.problems.items())]
    return "\n".join(lines) + "\n"


def _predictions(result: Result, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        columns = ["video", "class", "found", "probability", "probability_of_class", "start", "end"]
        framed = any(sample.frames is not None for sample in result.samples)
        writer.writerow([*columns, *["first_frame", "last_frame"] * framed])
        for index, label, shares in zip(result.indices.tolist(), result.labels.tolist(), result.shares, strict=True):
            best = int(shares.argmax())
            sample = result.samples[index]
            end = "" if sample.end is None else f"{sample.end:g}"
            row = [sample.path, result.classes[label], result.classes[best], f"{shares[best]:.6f}"]
            writer.writerow([*row, f"{shares[label]:.6f}", f"{sample.start:g}", end, *(sample.frames or ())])


def _figure(*args: Any, **options: Any) -> tuple[Any, Any]:
    """Return a figure for a headless backend, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained", **options)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(*args)


def _curves(run: Path, path: Path) -> None:
    epochs, steps = epochs_table(run).rows(), steps_table(run).rows()
    figure, (loss, right, rate) = _figure(1, 3, figsize=(13, 3.8))
    at = [int(row["epoch"]) for row in epochs]
    last = {int(row["epoch"]): int(row["step"]) for row in epochs}
    each = max(last.values()) / max(last)
    loss.plot([int(s["step"]) / each for s in steps], [float(s["loss"]) for s in steps], lw=0.6, alpha=0.4, color="C0")
    for name, label, colour in (("loss", "training", "C0"), ("val_loss", "validation", "C1")):
        loss.plot(at, [float(row[name]) for row in epochs], "o-", ms=3, label=label, color=colour)
    loss.set(xlabel="epoch", title="loss", ylim=(0, None))
    loss.legend()
    for name, label in (("val_top1", "top-1"), ("val_top5", "top-5")):
        right.plot(at, [100 * float(row[name]) for row in epochs], "o-", ms=3, label=label)
    right.set(xlabel="epoch", title="validation accuracy (%)", ylim=(0, 103))
    right.legend()
    rate.plot([int(s["step"]) / each for s in steps], [float(s["lr"]) for s in steps])
    rate.set(xlabel="epoch", title="learning rate", ylim=(0, None))
    for axes in (loss, right, rate):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def _confusion(result: Result, path: Path) -> None:
    count = len(result.classes)
    matrix = np.zeros((count, count))
    np.add.at(matrix, (result.labels.numpy(), result.shares.argmax(1).numpy()), 1)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    size = min(4 + 0.3 * count, 16)
    figure, axes = _figure(figsize=(size, size))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted class", ylabel="class", title="fraction of each class's videos")
    if count <= MOST:
        axes.set_xticks(range(count), result.classes, rotation=90)
        axes.set_yticks(range(count), result.classes)
    if count <= MOST // 3:
        for y in range(count):
            for x in range(count):
                if matrix[y, x]:
                    colour = "white" if shares[y, x] > 0.5 else "black"
                    axes.text(x, y, f"{matrix[y, x]:.0f}", ha="center", va="center", color=colour)
    figure.savefig(path, dpi=110)


def _worst(result: Result, path: Path) -> bool:
    """Draw film strips of the misclassified videos whose class has the lowest probability; return False without any."""
    own = result.shares.gather(1, result.labels[:, None])[:, 0]
    wrong = (result.shares.argmax(1) != result.labels).nonzero()[:, 0]
    order = wrong[own[wrong].argsort(stable=True)][:WORST].tolist()
    strips: list[tuple[str, torch.Tensor]] = []
    for place in order:
        sample = result.samples[int(result.indices[place])]
        best = int(result.shares[place].argmax())
        name, label = "/".join(Path(sample.path).parts[-2:]), result.classes[int(result.labels[place])]
        predicted = f"predicted {result.classes[best]} ({result.shares[place, best]:.1%})"
        title = f"{name}: {label} ({own[place]:.1%}), {predicted}"
        try:
            strips.append((title, strip_of(sample, STRIP)))
        except VideoError:
            continue
    if not strips:
        return False
    figure, axes = _figure(len(strips), STRIP, figsize=(1.5 * STRIP, 1.75 * len(strips)))
    rows = np.asarray(axes).reshape(len(strips), STRIP)
    for row, (title, frames) in zip(rows, strips, strict=True):
        # Text instead of a title, since a long title would shrink the other axes in the layout.
        row[0].text(0, 1.04, title, transform=row[0].transAxes, fontsize=9).set_in_layout(False)
        for place, frame in zip(row, frames, strict=True):
            place.imshow(frame.numpy())
            place.axis("off")
    figure.savefig(path, dpi=100)
    return True
