"""Regression: one or several numbers per video."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional
from torchmetrics.functional.regression import spearman_corrcoef

from archdsl.train.objectives.base import Objective, Rows, Scores
from archdsl.train.pictures import scatter
from archdsl.train.tasks import REGRESSION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archdsl.train.data.sample import Sample

LOSSES = {"mse": functional.mse_loss, "smooth_l1": functional.smooth_l1_loss, "l1": functional.l1_loss}


class Regression(Objective):
    """Squared, smooth L1 or absolute error of standardised targets (B, targets).

    The module's outputs are standardised, too; answers are in the units of the list: output × standard deviation + mean
    of the videos for training.
    """

    task = REGRESSION
    noun: ClassVar = ("target", "targets")
    unused: ClassVar = ("label_smoothing", "mixup", "cutmix", "balance", "class_weights")

    @property
    def metrics(self) -> tuple[str, ...]:
        return "mae", "rmse", "r2", "pearson", "spearman", "loss"

    @property
    def shown(self) -> tuple[str, ...]:
        return "mae", "r2"

    def target(self, sample: Sample) -> torch.Tensor:
        return torch.tensor(sample.numbers, dtype=torch.double)

    def mixable(self, targets: torch.Tensor) -> torch.Tensor:
        mean, deviation = self._scale(targets)
        return ((targets - mean) / deviation).float()

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        del weights
        return LOSSES[self.recipe.regression_loss](outputs.float(), targets)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        mean, deviation = self._scale(outputs)
        return outputs.double() * deviation + mean

    def scores(self, targets: torch.Tensor, answers: torch.Tensor) -> Scores:
        """Return the means over targets of their metrics; of one target, its metrics."""
        if not len(targets):
            return dict.fromkeys(self.metrics, math.nan)
        rows = self.rows(targets, answers).values()
        means = {name: sum(row[name] for row in rows) / len(rows) for name in self.metrics if name != "loss"}
        loss = self.loss(self.mixable(answers), self.mixable(targets), None)
        return {**means, "loss": loss.item()}

    def rows(self, targets: torch.Tensor, answers: torch.Tensor) -> Rows:
        """Return the errors, R² and correlations of each target; NaN for those of equal numbers."""
        return {name: errors(targets[:, n], answers[:, n]) for n, name in enumerate(self.names)}

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{name}{word}" for name in self.names for word in ("", " found"))

    def cells(self, target: torch.Tensor, answer: torch.Tensor) -> list[str]:
        return [f"{number:.6g}" for pair in zip(target.tolist(), answer.tolist(), strict=True) for number in pair]

    def ranked(self, answer: Sequence[float]) -> list[list[tuple[str, float]]]:
        """Return the targets with their numbers, in their order."""
        return [list(zip(self.names, answer, strict=True))]

    def draw(self, targets: torch.Tensor, answers: torch.Tensor, folder: Path) -> list[tuple[str, str]]:
        scatter(self.names, targets, answers, folder / "scatter.png")
        return [("Predicted numbers", "scatter.png")]

    def worst(self, targets: torch.Tensor, answers: torch.Tensor) -> list[tuple[int, str]]:
        """Return the videos with the largest errors, in standard deviations."""
        differences = (self.mixable(answers) - self.mixable(targets)).abs().mean(1)
        return [
            (place, ", ".join(map(self._text, self.names, targets[place].tolist(), answers[place].tolist())))
            for place in differences.argsort(stable=True, descending=True).tolist()
        ]

    @staticmethod
    def _text(name: str, number: float, answer: float) -> str:
        return f"{name} {number:.4g}, predicted {answer:.4g}"

    def _scale(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, deviation = torch.tensor(self.scale, dtype=torch.double, device=like.device).unbind(-1)
        return mean, deviation


def errors(targets: torch.Tensor, answers: torch.Tensor) -> Scores:
    """Return mean absolute error, root mean square error, R² and correlations of numbers (N,) and answers (N,).

    R² is 1 − Σ (t − a)² / Σ (t − mean t)².
    """
    targets, answers = targets.double(), answers.double()
    difference, spread = answers - targets, targets - targets.mean()
    varied = len(targets) > 1 and bool((spread != 0).any())
    related = varied and bool((answers != answers[0]).any())
    return {
        "mae": difference.abs().mean().item(),
        "rmse": difference.square().mean().sqrt().item(),
        "r2": 1 - (difference.square().sum() / spread.square().sum()).item() if varied else math.nan,
        "pearson": torch.corrcoef(torch.stack([targets, answers]))[0, 1].item() if related else math.nan,
        "spearman": spearman_corrcoef(answers, targets).item() if related else math.nan,
    }


def scale_of(samples: Sequence[Sample]) -> tuple[tuple[float, float], ...]:
    """Return mean and standard deviation of each target of samples for training; the latter is 1 for equal numbers."""
    numbers = torch.tensor([sample.numbers for sample in samples], dtype=torch.double)
    deviations = numbers.std(0, correction=0)
    return tuple(zip(numbers.mean(0).tolist(), torch.where(deviations > 0, deviations, 1.0).tolist(), strict=True))
