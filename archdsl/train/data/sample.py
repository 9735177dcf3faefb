"""Samples of a data set, and their division into training and validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.train.tasks import CLASSIFICATION

if TYPE_CHECKING:
    from archdsl.train.data.stored import Stored


@dataclass(frozen=True)
class Sample:
    """A video, or its part from `start` to `end` seconds, with its class index; −1 if unknown, or for other tasks.

    The path can be that of a folder of frames; `frames` are the numbers of the first and last one, None for all. Of a
    video inside a larger file, `stored` is the place of its bytes, and the path its name.
    """

    path: str
    label: int
    start: float = 0.0
    end: float | None = None
    frames: tuple[int, int] | None = None
    stored: Stored | None = None
    labels: tuple[int, ...] = ()  # indices of several classes
    numbers: tuple[float, ...] = ()  # targets of a regression

    @property
    def target(self) -> str:
        """The class index, the class indices or the numbers, as text."""
        return " ".join(map(str, self.labels or self.numbers or (self.label,)))


@dataclass(frozen=True)
class Split:
    """The samples for training and validation; `note` describes their source in one line."""

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    classes: tuple[str, ...]  # of a regression, its targets
    note: str
    indices: tuple[int, ...] = ()  # the number of each class in lists, if it is another one than its index
    task: str = CLASSIFICATION
    unused: tuple[str, ...] = ()  # options that have no effect on these videos
