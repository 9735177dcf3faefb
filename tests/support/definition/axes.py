"""The axes of a grid as attention cuts them into windows, with the queries and keys on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME, Grid

if TYPE_CHECKING:
    from torch import Tensor

OVER = {"space_time": "thw", "space": "hw", "time": "t", "height": "h", "width": "w"}


@dataclass(frozen=True)
class Axis:
    """An axis of n positions, looked along or not, in windows of positions that lie `dilation` apart."""

    name: str
    size: int
    is_looked_along: bool
    asked: int  # the window as the spec has it; 0: all
    dilation: int
    moved: int
    queries: int  # positions of the grids of queries and keys
    keys: int

    @property
    def whole(self) -> int:
        """The positions of a window that is all."""
        return -(-self.size // self.dilation) if self.is_looked_along else 1

    @property
    def is_cut(self) -> bool:
        return self.is_looked_along and 0 < self.asked < self.whole

    @property
    def is_free(self) -> bool:
        """Whether all queries see all keys, on whatever grids."""
        return self.is_looked_along and not self.is_cut and self.dilation == 1

    @property
    def window(self) -> int:
        """A window that covers the axis becomes the axis."""
        return self.asked if self.is_cut else self.whole

    @property
    def shift(self) -> int:
        return self.moved if self.is_cut else 0

    @property
    def padded(self) -> int:
        """The positions that whole windows have."""
        covered = self.window * self.dilation
        return -(-self.size // covered) * covered

    @property
    def groups(self) -> int:
        if not self.is_looked_along:
            return self.queries
        return 1 if self.is_free else self.padded // self.window

    @property
    def finest(self) -> int:
        """The positions of the finest grid: that which enters, unless values are from outside."""
        return max(self.padded, self.queries, self.keys)

    @property
    def largest(self) -> int:
        """The positions of the finest grid that the window of the spec has."""
        return self.on_finest(self.asked or self.window) if self.is_looked_along else 1

    @property
    def unit(self) -> int:
        """How far the positions of the grid that windows are counted on lie apart, in positions of the finest grid."""
        assert self.finest % self.padded == 0, f"windows of {self.padded} positions on a grid of {self.finest}"
        return self.finest // self.padded

    def on_finest(self, window: int) -> int:
        """The positions of the finest grid that a window has."""
        return max(1, -(-window * self.finest // self.padded))

    def step(self, n: int) -> int:
        """How far the positions of a grid of n lie apart, in positions of the finest grid."""
        if not self.is_looked_along:
            return 1
        if self.is_free:
            return -(-self.finest // n)
        assert self.finest % n == 0, f"windows of {self.finest} positions on a grid of {n}"
        return self.finest // n

    def at(self, p: Tensor, n: int) -> Tensor:
        """Where the positions of a grid of n lie."""
        return p * self.step(n)

    def group(self, p: Tensor, n: int) -> Tensor:
        """The groups of the positions of a grid of n."""
        if self.is_free:
            return p * 0
        if not self.is_looked_along:
            return p
        start = (self.at(p, n) - self.shift * self.unit) % self.finest
        return start // (self.window * self.unit * self.dilation) * self.dilation + start % self.dilation

    def inside(self, p: Tensor, n: int) -> Tensor:
        """Their places in their groups, counted."""
        if self.is_free:
            return p
        if not self.is_looked_along:
            return p * 0
        start = (self.at(p, n) - self.shift * self.unit) % self.finest
        return start % (self.window * self.unit * self.dilation) // self.dilation // self.step(n)

    def extent(self, n: int) -> int:
        """How many positions of a grid of n a group has."""
        return n if self.is_free else max(1, self.window * self.unit // self.step(n))

    def is_moved(self, p: Tensor, n: int) -> Tensor:
        """Which positions have come round the border."""
        return self.at(p, n) < self.shift * (self.unit if self.shift else 1)


def axes_of(settings: Any, over: str, queries: Grid, keys: Grid) -> list[Axis]:
    """The axes of an attention; where each frame has tokens, those of one frame."""
    found: list[Axis] = []
    for index, name in enumerate("thw"):
        is_one = name == "t" and FRAME in (queries.token, keys.token)
        size, q, k = (1 if is_one else int(g.size[index]) for g in (settings.x, queries, keys))
        along = name in OVER[over]
        dilation = int(settings.dilation[index]) if along and not settings.band else 1
        asked, moved = settings.window[index], settings.shift[index]
        found.append(Axis(name, size, along, asked, dilation, moved, q, k))
    return found
