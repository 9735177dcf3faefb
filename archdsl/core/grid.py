"""The one tensor type of the language."""

from __future__ import annotations

from typing import NamedTuple


class Grid(NamedTuple):
    """`channels` values at each of `t` × `h` × `w` positions; the batch is left out. A vector is a grid of 1×1×1."""

    channels: int
    t: int
    h: int
    w: int

    @property
    def size(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        return self.t, self.h, self.w

    @property
    def positions(self) -> int:
        return self.t * self.h * self.w

    @property
    def elements(self) -> int:
        return self.channels * self.positions

    @property
    def is_vector(self) -> bool:
        return self.size == (1, 1, 1)

    def __str__(self) -> str:
        return "×".join(str(int(n)) for n in self)


def grid_text(size: tuple[int, int, int]) -> str:
    """`T×H×W` as people write it."""
    return "×".join(str(int(n)) for n in size)
