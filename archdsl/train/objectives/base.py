"""The interface of objectives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from archdsl.files import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from archdsl.ir.recipe import Recipe
    from archdsl.train.data.sample import Sample

Scores = dict[str, float]
Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Objective(ABC):
    """The objective of a task: targets of samples, the loss, the answers for a video, and their metrics.

    Args:
        names: the classes, or the targets of a regression, in the order of the outputs.
        recipe: the recipe.
        scale: mean and standard deviation of each target of a regression.
    """

    names: tuple[str, ...]
    recipe: Recipe
    scale: tuple[tuple[float, float], ...] = ()

    task: ClassVar[str]
    noun: ClassVar[tuple[str, str]] = ("class", "classes")  # for one of the names, and for all
    file: ClassVar[str] = "predictions.csv"  # of a report, with a line for each video
    unused: ClassVar[tuple[str, ...]]  # values of a recipe that have no effect on this objective

    @property
    @abstractmethod
    def metrics(self) -> tuple[str, ...]:
        """The names of its metrics, for `archdsl.train.best.metric_of`; the first one decides the best epoch."""

    @property
    @abstractmethod
    def shown(self) -> tuple[str, ...]:
        """The metrics in the line of an epoch, beside the loss."""

    def check(self) -> None:
        """Check the recipe.

        Raises:
            UsageError: if it has values that this objective does not use, or weights for other classes.
        """
        fields, values = self.recipe.fields, self.recipe.as_dict()
        unused = [name for name in self.unused if getattr(self.recipe, name) != fields[name].default]
        if unused:
            options = " ".join(f"--recipe {name}={str(fields[name].default).replace('()', '[]')}" for name in unused)
            are = "is" if len(unused) == 1 else "are"
            raise UsageError(
                f"--task {self.task}: {', '.join(unused)} of the recipe {are} for other tasks; add {options}"
            )
        count = len(values["class_weights"])
        if count and count != len(self.names):
            raise UsageError(f"class_weights: has {count} numbers; expected {len(self.names)}, one for each class")
        if count and not any(self.recipe.class_weights):
            raise UsageError("class_weights: all are 0; expected factors of the loss of each class, such as [1, 5]")

    @abstractmethod
    def target(self, sample: Sample) -> torch.Tensor:
        """Return the target of a sample, of one shape for all samples."""

    @abstractmethod
    def mixable(self, targets: torch.Tensor) -> torch.Tensor:
        """Return the targets of a batch in a form (B, outputs) of which weighted means can be taken."""

    @abstractmethod
    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        """Return the loss of outputs and mixable targets (B, outputs), with `weights` of the classes."""

    @abstractmethod
    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the answers (B, outputs) for outputs, which are averaged over the views of a video."""

    def weights(self, samples: Sequence[Sample]) -> torch.Tensor | None:
        """Return the weights (classes,) of the loss that the recipe sets; None if it sets none."""
        del samples
        return None

    def draws(self, samples: Sequence[Sample]) -> torch.Tensor | None:
        """Return the relative frequency (N,) with which each sample is drawn; None if all are used once per epoch."""
        del samples
        return None

    @abstractmethod
    def scores(self, targets: torch.Tensor, answers: torch.Tensor) -> Scores:
        """Return the metrics of targets (N, …) and answers (N, outputs); NaN where they are undefined."""

    @abstractmethod
    def rows(self, targets: torch.Tensor, answers: torch.Tensor) -> Rows:
        """Return the metrics of each class or target by its name."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns of `cells` in a table of predictions."""

    @abstractmethod
    def cells(self, target: torch.Tensor, answer: torch.Tensor) -> list[str]:
        """Return target and answer of a video, as the cells of a table of predictions."""

    @abstractmethod
    def worst(self, targets: torch.Tensor, answers: torch.Tensor) -> list[tuple[int, str]]:
        """Return the positions (into N) of wrong answers, the worst first, each with a description."""

    def ranked(self, answer: Sequence[float]) -> list[list[tuple[str, float]]]:
        """Return the names with their probabilities in an answer, the most likely first: a list for each head."""
        return [sorted(zip(self.names, answer, strict=True), key=lambda pair: -pair[1])]

    def draw(self, targets: torch.Tensor, answers: torch.Tensor, folder: Path) -> list[tuple[str, str]]:
        """Draw figures of targets and answers; return their titles and files."""
        del targets, answers, folder
        return []
