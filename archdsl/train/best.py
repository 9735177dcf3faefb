"""The best epoch of a run by a metric of its validation, and early stopping."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Row: TypeAlias = "dict[str, float]"  # an epoch, counted from 1, and its validation metrics by name


@dataclass(frozen=True)
class Metric:
    """A metric of validation and test."""

    title: str
    lower: bool = False  # a lower value is better
    share: bool = True  # a number from 0 to 1, which is printed as a percentage

    def text(self, value: float) -> str:
        """Format a value."""
        return f"{value:.2%}" if self.share else f"{value:.4f}"


METRICS = {
    "loss": Metric("loss", lower=True, share=False),
    "all_top1": Metric("all heads top-1"),
    "top1": Metric("top-1"),
    "top5": Metric("top-5"),
    "mean_class_top1": Metric("mean class accuracy"),
    "map": Metric("mAP"),
    "mae": Metric("MAE", lower=True, share=False),
    "rmse": Metric("RMSE", lower=True, share=False),
    "r2": Metric("R²", share=False),
    "pearson": Metric("Pearson's r", share=False),
    "spearman": Metric("Spearman's ρ", share=False),
}


def metric_of(name: str) -> Metric:
    """Return a metric by its name, which begins with that of a head for one of several: `verb.top1`.

    Raises:
        KeyError: for another name.
    """
    head, _, own = name.rpartition(".")
    metric = METRICS[own]
    return replace(metric, title=f"{head} {metric.title}") if head else metric


def metrics_among(names: Iterable[str]) -> list[str]:
    """Return those names that are metrics, in the order of `METRICS`, those of each head together."""
    order = list(METRICS)
    parts = {name: (head, own) for name in names for head, _, own in [name.rpartition(".")] if own in METRICS}
    heads = ["", *dict.fromkeys(head for head, _ in parts.values())]
    return sorted(parts, key=lambda name: (heads.index(parts[name][0]), order.index(parts[name][1])))


def best_of(history: Sequence[Row], metric: str) -> Row | None:
    """Return the epoch with the best value, of equal ones the first; None without epochs.

    A missing value, or one that is not a number, is worse than all others.
    """

    def rank(row: Row) -> float:
        value = row.get(metric, math.nan)
        return -math.inf if math.isnan(value) else -value if metric_of(metric).lower else value

    return max(history, key=rank, default=None)


def is_exhausted(history: Sequence[Row], metric: str, patience: int) -> bool:
    """Return True if the last `patience` epochs were not better than the best one; never with `patience` 0."""
    best = best_of(history, metric)
    return best is not None and 0 < patience <= history[-1]["epoch"] - best["epoch"]


def ending(history: Sequence[Row], metric: str, patience: int, planned: int) -> str:
    """Return a sentence on the end of a run: its epochs, the reason, and the best epoch; empty without epochs."""
    best = best_of(history, metric)
    if best is None:
        return ""
    done, title = int(history[-1]["epoch"]), metric_of(metric).title
    value = metric_of(metric).text(best.get(metric, math.nan))
    if done >= planned:
        reason = f"all {planned} epochs are complete" if planned != 1 else "the only epoch is complete"
    elif is_exhausted(history, metric, patience):
        epochs = f"{patience} epochs" if patience > 1 else "1 epoch"
        reason = f"stopped early after epoch {done} of {planned}: no better {title} for {epochs} (--patience)"
    else:
        reason = f"{done} of {planned} epochs are complete"
    if math.isnan(best.get(metric, math.nan)):  # without validation
        return reason
    return f"{reason}; best {title}: {value}, epoch {best['epoch']:.0f}"
