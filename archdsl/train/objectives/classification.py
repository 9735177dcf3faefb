"""Classification: one class per video."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from archdsl.train.objectives.base import Objective, Rows, Scores
from archdsl.train.pictures import confusion
from archdsl.train.tasks import CLASSIFICATION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archdsl.train.data.sample import Sample

CONFUSION = "confusion.png"
MEASURED = ("top1", "top5", "mean_class_top1", "loss")


class Classification(Objective):
    """Cross entropy with the softmax of the outputs; targets are class indices (B,)."""

    task = CLASSIFICATION
    unused: ClassVar = ("regression_loss",)

    @property
    def metrics(self) -> tuple[str, ...]:
        return MEASURED

    @property
    def shown(self) -> tuple[str, ...]:
        return "top1", "top5"

    def target(self, sample: Sample) -> torch.Tensor:
        return torch.tensor(sample.label)

    def mixable(self, targets: torch.Tensor) -> torch.Tensor:
        return functional.one_hot(targets, len(self.names)).float()

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        return cross_entropy(outputs, targets, self.recipe.label_smoothing, weights)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.float().softmax(-1)

    def weights(self, samples: Sequence[Sample]) -> torch.Tensor | None:
        labels = [sample.label for sample in samples]
        if self.recipe.class_weights:
            weights = torch.tensor(self.recipe.class_weights)
            return weights / weights[labels].mean()
        return balanced(labels, len(self.names)) if self.recipe.balance == "loss" else None

    def draws(self, samples: Sequence[Sample]) -> torch.Tensor | None:
        labels = [sample.label for sample in samples]
        return balanced(labels, len(self.names))[labels] if self.recipe.balance == "sampling" else None

    def scores(self, targets: torch.Tensor, answers: torch.Tensor) -> Scores:
        return accuracy(targets, answers)

    def rows(self, targets: torch.Tensor, answers: torch.Tensor) -> Rows:
        """Return the number of videos of each class that has any, and the top-1 accuracy among them."""
        best = answers.argmax(1)
        groups = ((name, targets == number, number) for number, name in enumerate(self.names))
        return {
            name: {"videos": int(own.sum()), "top1": (best[own] == number).double().mean().item()}
            for name, own, number in groups
            if own.any()
        }

    @property
    def columns(self) -> tuple[str, ...]:
        return "class", "found", "probability", "probability_of_class"

    def cells(self, target: torch.Tensor, answer: torch.Tensor) -> list[str]:
        label, best = int(target), int(answer.argmax())
        return [self.names[label], self.names[best], f"{answer[best]:.6f}", f"{answer[label]:.6f}"]

    def draw(self, targets: torch.Tensor, answers: torch.Tensor, folder: Path) -> list[tuple[str, str]]:
        confusion(self.names, targets, answers, folder / CONFUSION)
        return [("Confusion matrix", CONFUSION)]

    def worst(self, targets: torch.Tensor, answers: torch.Tensor) -> list[tuple[int, str]]:
        own, best = answers.gather(1, targets[:, None])[:, 0], answers.argmax(1)
        wrong = (best != targets).nonzero()[:, 0]
        found: list[tuple[int, str]] = []
        for place in wrong[own[wrong].argsort(stable=True)].tolist():
            label, other = int(targets[place]), int(best[place])
            predicted = f"predicted {self.names[other]} ({answers[place, other]:.1%})"
            found.append((place, f"{self.names[label]} ({own[place]:.1%}), {predicted}"))
        return found


def cross_entropy(
    outputs: torch.Tensor, targets: torch.Tensor, smoothing: float, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the cross entropy of logits and target probabilities (B, classes), with label smoothing.

    `weights` (classes,) are factors of the terms of each class.
    """
    return functional.cross_entropy(outputs.float(), targets.float(), weight=weights, label_smoothing=smoothing)


def balanced(labels: Sequence[int], classes: int) -> torch.Tensor:
    """Return a weight for each class, inversely proportional to its number of labels; 1 on average over the labels.

    A class without labels has the weight 0.
    """
    counts = torch.bincount(torch.tensor(labels), minlength=classes).double()
    present = counts > 0
    return torch.where(present, len(labels) / (present.sum() * counts.clamp_min(1)), 0.0).float()


def accuracy(labels: torch.Tensor, probabilities: torch.Tensor) -> Scores:
    """Return the metrics of class indices (N,) and probabilities (N, classes).

    `mean_class_top1` is the mean of the top-1 accuracies of the classes that have videos, `loss` the mean negative log
    likelihood.
    """
    if not len(labels):
        return dict.fromkeys(MEASURED, math.nan)
    best = probabilities.topk(min(5, probabilities.shape[1])).indices == labels[:, None]
    hits, videos = best[:, 0].double(), labels.bincount()
    by_class = labels.bincount(hits)[videos > 0] / videos[videos > 0]
    return {
        "top1": hits.mean().item(),
        "top5": best.any(1).double().mean().item(),
        "mean_class_top1": by_class.mean().item(),
        "loss": functional.nll_loss(probabilities.double().clamp_min(1e-12).log(), labels).item(),
    }
