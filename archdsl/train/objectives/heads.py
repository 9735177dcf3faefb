"""Several heads: a class per video for each of them."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from archdsl.files import UsageError
from archdsl.train.objectives.base import Objective, Rows, Scores
from archdsl.train.objectives.classification import Classification, balanced
from archdsl.train.pictures import confusion
from archdsl.train.tasks import HEADS, by_head, of_head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from archdsl.train.data.sample import Sample


class Heads(Objective):
    """A classification for each head, whose outputs are side by side; the loss is the sum of theirs.

    The names are those of all classes, each behind that of its head. Targets (B, heads) are indices into them.
    """

    task = HEADS
    unused: ClassVar = ("regression_loss", "class_weights")

    @cached_property
    def parts(self) -> dict[str, Classification]:
        """The objective of each head."""
        return {head: Classification(own, self.recipe) for head, own in by_head(self.names).items()}

    @property
    def metrics(self) -> tuple[str, ...]:
        return "all_top1", "loss", *(f"{head}.{name}" for head, part in self.parts.items() for name in part.metrics)

    @property
    def shown(self) -> tuple[str, ...]:
        return "all_top1", *(f"{head}.top1" for head in self.parts)

    def check(self) -> None:
        super().check()
        if self.recipe.balance == "sampling":
            raise UsageError(
                "several heads: `balance = sampling` draws one class per video; use --recipe balance=loss, or "
                "balance=none"
            )

    def target(self, sample: Sample) -> torch.Tensor:
        return torch.tensor(sample.labels)

    def mixable(self, targets: torch.Tensor) -> torch.Tensor:
        return functional.one_hot(targets, len(self.names)).sum(1).float()

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        own = [None] * len(self.parts) if weights is None else self._split(weights[None])
        parts = zip(self.parts.values(), self._split(outputs), self._split(targets), own, strict=True)
        return torch.stack([p.loss(x, target, None if w is None else w[0]) for p, x, target, w in parts]).sum()

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return torch.cat([p.answers(x) for p, x in zip(self.parts.values(), self._split(outputs), strict=True)], 1)

    def weights(self, samples: Sequence[Sample]) -> torch.Tensor | None:
        if self.recipe.balance != "loss":
            return None
        labels = self._own(torch.tensor([sample.labels for sample in samples])).T.tolist()
        sizes = [len(part.names) for part in self.parts.values()]
        return torch.cat([balanced(own, size) for own, size in zip(labels, sizes, strict=True)])

    def scores(self, targets: torch.Tensor, answers: torch.Tensor) -> Scores:
        """Return the share of videos for which all heads are right, the sum of losses, and the metrics of each head."""
        if not len(targets):
            return dict.fromkeys(self.metrics, math.nan)
        each = {head: part.scores(own, found) for head, part, own, found in self._each(targets, answers)}
        right = torch.stack([found.argmax(1) == own for _, _, own, found in self._each(targets, answers)]).all(0)
        scores = {"all_top1": right.double().mean().item(), "loss": sum(part["loss"] for part in each.values())}
        return scores | {f"{head}.{name}": value for head, part in each.items() for name, value in part.items()}

    def rows(self, targets: torch.Tensor, answers: torch.Tensor) -> Rows:
        parts = ((head, part.rows(own, found)) for head, part, own, found in self._each(targets, answers))
        return {of_head(head, name): row for head, rows in parts for name, row in rows.items()}

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{head} {column}" for head, part in self.parts.items() for column in part.columns)

    def cells(self, target: torch.Tensor, answer: torch.Tensor) -> list[str]:
        each = self._each(target[None], answer[None])
        return [cell for _, part, own, found in each for cell in part.cells(own[0], found[0])]

    def worst(self, targets: torch.Tensor, answers: torch.Tensor) -> list[tuple[int, str]]:
        """Return the videos for which a head is wrong, those with the least likely classes first."""
        texts: dict[int, list[str]] = {}
        for head, part, own, found in self._each(targets, answers):
            for place, text in part.worst(own, found):
                texts.setdefault(place, []).append(f"{head} {text}")
        likely: list[float] = answers.gather(1, targets).prod(1).tolist()
        return [(place, "; ".join(texts[place])) for place in sorted(texts, key=lambda place: likely[place])]

    def ranked(self, answer: Sequence[float]) -> list[list[tuple[str, float]]]:
        found = dict(zip(self.names, answer, strict=True))
        names = [[of_head(head, name) for name in part.names] for head, part in self.parts.items()]
        return [[(name, found[name]) for name in sorted(own, key=lambda name: -found[name])] for own in names]

    def draw(self, targets: torch.Tensor, answers: torch.Tensor, folder: Path) -> list[tuple[str, str]]:
        drawn: list[tuple[str, str]] = []
        for head, part, own, found in self._each(targets, answers):
            drawn.append((f"Confusion matrix, {head}", f"confusion_{head}.png"))
            confusion(part.names, own, found, folder / drawn[-1][1])
        return drawn

    def _each(
        self, targets: torch.Tensor, answers: torch.Tensor
    ) -> Iterator[tuple[str, Classification, torch.Tensor, torch.Tensor]]:
        """Yield each head with its objective, class indices (N,) and answers (N, classes)."""
        return zip(self.parts, self.parts.values(), self._own(targets).T, self._split(answers), strict=True)

    def _split(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the part of each head of values (N, outputs)."""
        return values.split([len(part.names) for part in self.parts.values()], 1)

    def _own(self, targets: torch.Tensor) -> torch.Tensor:
        """Return indices into the classes of each head, from targets (N, heads)."""
        sizes = [0, *(len(part.names) for part in self.parts.values())]
        return targets - torch.tensor(sizes[:-1]).cumsum(0)
