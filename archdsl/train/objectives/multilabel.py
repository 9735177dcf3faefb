"""Several classes per video, or none."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional
from torchmetrics.functional.classification import binary_average_precision

from archdsl.files import UsageError
from archdsl.train.data.reading import some
from archdsl.train.objectives.base import Objective, Rows, Scores
from archdsl.train.tasks import MULTILABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.train.data.sample import Sample


class Multilabel(Objective):
    """Binary cross entropy with the sigmoid of each output; targets (B, classes) are 1 for the classes of a video.

    Label smoothing ε replaces targets t by t (1 − ε) + ε / 2. With `balance = loss` the positives of a class have the
    weight negatives / positives, torch's `pos_weight`.
    """

    task = MULTILABEL
    unused: ClassVar = ("regression_loss",)

    @property
    def metrics(self) -> tuple[str, ...]:
        return "map", "loss"

    @property
    def shown(self) -> tuple[str, ...]:
        return ("map",)

    def check(self) -> None:
        super().check()
        if self.recipe.balance == "sampling":
            raise UsageError(
                f"--task {MULTILABEL}: `balance = sampling` draws one class per video; use --recipe balance=loss, or "
                "balance=none"
            )

    def target(self, sample: Sample) -> torch.Tensor:
        target = torch.zeros(len(self.names))
        target[list(sample.labels)] = 1
        return target

    def mixable(self, targets: torch.Tensor) -> torch.Tensor:
        return targets

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        smoothing = self.recipe.label_smoothing
        smooth = targets.float() * (1 - smoothing) + smoothing / 2
        balanced = self.recipe.balance == "loss"
        return functional.binary_cross_entropy_with_logits(
            outputs.float(), smooth, None if balanced else weights, pos_weight=weights if balanced else None
        )

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.float().sigmoid()

    def weights(self, samples: Sequence[Sample]) -> torch.Tensor | None:
        if self.recipe.class_weights:
            weights = torch.tensor(self.recipe.class_weights)
            return weights / weights.mean()
        if self.recipe.balance != "loss":
            return None
        positives = torch.zeros(len(self.names))
        for sample in samples:
            positives[list(sample.labels)] += 1
        return torch.where(positives > 0, (len(samples) - positives) / positives.clamp_min(1), 1.0)

    def scores(self, targets: torch.Tensor, answers: torch.Tensor) -> Scores:
        """Return the mean average precision over the classes with positives, and the binary cross entropy."""
        if not len(targets):
            return dict.fromkeys(self.metrics, math.nan)
        precisions = average_precisions(targets, answers)
        loss = functional.binary_cross_entropy(answers.double(), targets.double())
        return {"map": precisions[~precisions.isnan()].mean().item(), "loss": loss.item()}

    def rows(self, targets: torch.Tensor, answers: torch.Tensor) -> Rows:
        """Return the number of videos of each class that has any, and its average precision."""
        precisions, videos = average_precisions(targets, answers).tolist(), targets.sum(0).int().tolist()
        together = zip(self.names, videos, precisions, strict=True)
        return {name: {"videos": count, "ap": precision} for name, count, precision in together if count}

    @property
    def columns(self) -> tuple[str, ...]:
        return ("classes", *self.names)

    def cells(self, target: torch.Tensor, answer: torch.Tensor) -> list[str]:
        return ["; ".join(self._names(target > 0)), *[f"{probability:.6f}" for probability in answer.tolist()]]

    def worst(self, targets: torch.Tensor, answers: torch.Tensor) -> list[tuple[int, str]]:
        """Return the videos with a class on the wrong side of ½, those with the highest loss first."""
        wrong = ((answers > 0.5) != (targets > 0)).any(1).nonzero()[:, 0]
        losses = functional.binary_cross_entropy(answers, targets, reduction="none").mean(1)[wrong]
        return [
            (place, f"{self._text(targets[place] > 0)}, predicted {self._text(answers[place] > 0.5)}")
            for place in wrong[losses.argsort(stable=True, descending=True)].tolist()
        ]

    def _names(self, own: torch.Tensor) -> list[str]:
        return [name for name, is_own in zip(self.names, own.tolist(), strict=True) if is_own]

    def _text(self, own: torch.Tensor) -> str:
        return some(self._names(own), 3) or "none"


def average_precisions(targets: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Return the average precision of each class (classes,), of targets and probabilities (N, classes).

    It is Σ (R_n − R_{n−1}) P_n over the distinct probabilities in descending order, with precision P_n and recall R_n
    of the videos from that probability on, without interpolation; NaN for a class without positives.
    """
    precisions = torch.full((targets.shape[1],), math.nan, dtype=torch.double)
    for number in targets.any(0).nonzero()[:, 0].tolist():
        precisions[number] = binary_average_precision(answers[:, number], targets[:, number].int())
    return precisions
