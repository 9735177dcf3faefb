"""Masked pre-training: the error of reconstructed patches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch

from archdsl.train.objectives.base import Objective, Rows, Scores
from archdsl.train.tasks import PRETRAIN

if TYPE_CHECKING:
    from archdsl.train.data.sample import Sample


class Reconstruction(Objective):
    """The mean of errors (B, 1), which `archdsl.train.pretraining` computes from the clips; videos have no targets."""

    task = PRETRAIN
    file: ClassVar = "losses.csv"
    unused: ClassVar = (
        "regression_loss", "label_smoothing", "mixup", "cutmix", "erase", "balance", "class_weights", "precise_bn",
    )  # fmt: skip

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("loss",)

    @property
    def shown(self) -> tuple[str, ...]:
        return ()

    def target(self, sample: Sample) -> torch.Tensor:
        return torch.tensor(sample.label)

    def mixable(self, targets: torch.Tensor) -> torch.Tensor:
        return targets

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        del targets, weights
        return outputs.mean()

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.float()

    def scores(self, targets: torch.Tensor, answers: torch.Tensor) -> Scores:
        del targets
        return {"loss": answers.double().mean().item() if len(answers) else math.nan}

    def rows(self, targets: torch.Tensor, answers: torch.Tensor) -> Rows:
        del targets, answers
        return {}

    @property
    def columns(self) -> tuple[str, ...]:
        return ("loss",)

    def cells(self, target: torch.Tensor, answer: torch.Tensor) -> list[str]:
        del target
        return [f"{answer.item():.6f}"]

    def worst(self, targets: torch.Tensor, answers: torch.Tensor) -> list[tuple[int, str]]:
        del targets, answers
        return []
