"""Figures of a report."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archdsl.train.best import metric_of
from archdsl.train.data.opening import strip_of
from archdsl.train.data.videos import VideoError
from archdsl.train.tables import epochs_table, steps_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from archdsl.train.data.sample import Sample

WORST = 8  # film strips
STRIP = 8  # frames per film strip
MOST = 60  # maximum number of classes for which a confusion matrix has labels
COLUMNS = 4  # scatter plots side by side


def _figure(*args: Any, **options: Any) -> tuple[Any, Any]:
    """Return a figure for a headless backend, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained", **options)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(*args)


def curves(run: Path, metrics: Sequence[str], path: Path) -> None:
    """Draw the loss, some metrics of validation and the learning rate over the epochs of a run."""
    epochs, steps = epochs_table(run).rows(), steps_table(run).rows()
    panels = 3 if metrics else 2
    figure, (loss, *others, rate) = _figure(1, panels, figsize=(4.3 * panels, 3.8))
    at = [int(row["epoch"]) for row in epochs]
    last = {int(row["epoch"]): int(row["step"]) for row in epochs}
    each = max(last.values()) / max(last)
    loss.plot([int(s["step"]) / each for s in steps], [float(s["loss"]) for s in steps], lw=0.6, alpha=0.4, color="C0")
    for name, label, colour in (("loss", "training", "C0"), ("val_loss", "validation", "C1")):
        loss.plot(at, [float(row[name] or "nan") for row in epochs], "o-", ms=3, label=label, color=colour)
    loss.set(xlabel="epoch", title="loss")
    loss.legend()
    for right in others:
        share = metric_of(metrics[0]).share
        for name in (name for name in metrics if metric_of(name).share == share):
            values = [float(row[f"val_{name}"] or "nan") * (100 if share else 1) for row in epochs]
            right.plot(at, values, "o-", ms=3, label=metric_of(name).title)
        right.set(xlabel="epoch", title="validation (%)" if share else "validation", ylim=(0, 103 if share else None))
        right.legend()
    rate.plot([int(s["step"]) / each for s in steps], [float(s["lr"]) for s in steps], ".-" if len(steps) < 50 else "-")
    rate.set(xlabel="epoch", title="learning rate")
    for axes in (loss, *others, rate):
        axes.grid(alpha=0.3)
        axes.set_xlim(0, 1.02 * max(at))
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in (loss, rate):
        axes.set_ylim(0, 1.05 * max(axes.dataLim.ymax, 1e-9))
    figure.savefig(path, dpi=120)


def confusion(names: Sequence[str], targets: torch.Tensor, answers: torch.Tensor, path: Path) -> None:
    """Draw the confusion matrix of class indices (N,) and probabilities (N, classes)."""
    count = len(names)
    matrix = np.zeros((count, count))
    np.add.at(matrix, (targets.numpy(), answers.argmax(1).numpy()), 1)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    size = min(4 + 0.3 * count, 16)
    figure, axes = _figure(figsize=(size, size))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted class", ylabel="class", title="fraction of each class's videos")
    if count <= MOST:
        axes.set_xticks(range(count), names, rotation=90)
        axes.set_yticks(range(count), names)
    if count <= MOST // 3:
        for y in range(count):
            for x in range(count):
                if matrix[y, x]:
                    colour = "white" if shares[y, x] > 0.5 else "black"
                    axes.text(x, y, f"{matrix[y, x]:.0f}", ha="center", va="center", color=colour)
    figure.savefig(path, dpi=110)


def scatter(names: Sequence[str], targets: torch.Tensor, answers: torch.Tensor, path: Path) -> None:
    """Draw the answers (N, targets) over the numbers (N, targets), in a plot for each target."""
    columns = min(len(names), COLUMNS)
    rows = -(-len(names) // columns)
    figure, axes = _figure(rows, columns, figsize=(4 * columns, 4 * rows))
    for number, plot in enumerate(np.asarray(axes).flat):
        if number >= len(names):
            plot.axis("off")
            continue
        own, found = targets[:, number].tolist(), answers[:, number].tolist()
        limits = [min(own + found), max(own + found)]
        plot.plot(limits, limits, color="0.7", lw=1)
        plot.plot(own, found, "o", ms=3, alpha=0.6)
        plot.set(xlabel=names[number], ylabel="predicted")
        plot.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def strips(samples: Sequence[Sample], titles: Sequence[str], path: Path) -> bool:
    """Draw film strips of the first videos that can be read, with titles; return False without any."""
    drawn: list[tuple[str, torch.Tensor]] = []
    for sample, title in list(zip(samples, titles, strict=True))[:WORST]:
        try:
            drawn.append((f"{'/'.join(Path(sample.path).parts[-2:])}: {title}", strip_of(sample, STRIP)))
        except VideoError:
            continue
    if not drawn:
        return False
    _draw_strips(drawn, path)
    return True


def reconstructions(strips: Sequence[tuple[str, torch.Tensor]], path: Path) -> None:
    """Draw film strips uint8 (3, T, H, W, 3): videos, the same without hidden patches, and their reconstructions."""
    drawn: list[tuple[str, torch.Tensor]] = []
    for video, rows in strips:
        at = [int((n + 0.5) * rows.shape[1] / STRIP) for n in range(STRIP)] if rows.shape[1] > STRIP else None
        titles = ("/".join(Path(video).parts[-2:]), "visible", "reconstruction")
        drawn += zip(titles, rows if at is None else rows[:, at], strict=True)
    _draw_strips(drawn, path)


def _draw_strips(drawn: Sequence[tuple[str, torch.Tensor]], path: Path) -> None:
    """Draw rows of frames with titles, uint8 (frames, H, W, 3) each."""
    count = len(drawn[0][1])
    figure, axes = _figure(len(drawn), count, figsize=(1.5 * count, 1.75 * len(drawn)))
    rows = np.asarray(axes).reshape(len(drawn), count)
    for row, (title, frames) in zip(rows, drawn, strict=True):
        # Text instead of a title, since a long title would shrink the other axes in the layout.
        row[0].text(0, 1.04, title, transform=row[0].transAxes, fontsize=9).set_in_layout(False)
        for place, frame in zip(row, frames, strict=True):
            place.imshow(frame.numpy())
            place.axis("off")
    figure.savefig(path, dpi=100)
