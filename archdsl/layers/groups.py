"""Partition of a grid into windows of positions that attend to each other.

A window extends over (t, h, w). Along an attended axis it is the whole axis or a part of it, whose positions can be
`dilation` apart; along another axis it is a single position.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.layers.attributes import Size3

AXES = {"space_time": "thw", "space": "hw", "time": "t", "height": "h", "width": "w"}


def spanned(over: str, grid: Size3) -> str:
    """Return the name of those axes of `over` that have more than one position, if they have a name; else `over`."""
    axes = "".join(a for a, n in zip("thw", grid, strict=True) if a in AXES[over] and n > 1)
    return next((name for name, letters in AXES.items() if letters == axes), over)


@dataclass(frozen=True)
class Groups:
    """The windows of a grid; sizes are over t, h and w."""

    over: str  # the attended axes, such as `hw`
    grid: Size3
    window: Size3  # positions of a window
    dilation: Size3
    shift: Size3

    @property
    def counts(self) -> Size3:
        """Number of windows along each axis."""
        t, h, w = (-(-n // (k * d)) for n, k, d in zip(self.grid, self.window, self.dilation, strict=True))
        return t, h, w

    @property
    def padded(self) -> Size3:
        """Size of the padded grid, which the windows cover."""
        t, h, w = (c * k * d for c, k, d in zip(self.counts, self.window, self.dilation, strict=True))
        return t, h, w

    @property
    def number(self) -> int:
        return prod(self.counts) * prod(self.dilation)

    @property
    def positions(self) -> int:
        """Number of positions of a window."""
        return prod(self.window)

    def of_size(self, sizes: Size3, grid: Size3) -> Size3:
        """Return sizes in positions of the padded grid as those of another grid."""
        t, h, w = (n * m // full for n, m, full in zip(sizes, grid, self.padded, strict=True))
        return t, h, w

    @property
    def is_padded(self) -> bool:
        return self.padded != self.grid

    @property
    def is_shifted(self) -> bool:
        return any(self.shift)

    @property
    def is_whole(self) -> bool:
        """True if every window covers the attended axes, so that the grid is not divided."""
        ends = zip("thw", self.grid, self.window, strict=True)
        return all(k == (n if axis in self.over else 1) for axis, n, k in ends)


def groups(over: str, grid: Size3, window: Size3, dilation: Size3, shift: Size3) -> Groups:
    """Return the windows of a grid for the attributes of a layer; 0 in `window` stands for the whole axis.

    Along an axis that a window covers, it is cut to the axis and not shifted (Liu et al. 2022).
    """
    sizes: list[int] = []
    shifts: list[int] = []
    for axis, n, k, d, s in zip("thw", grid, window, dilation, shift, strict=True):
        whole = -(-n // d)
        size = 1 if axis not in over else min(k, whole) if k else whole
        sizes.append(int(size))
        shifts.append(int(s) if size < whole else 0)
    t, h, w = sizes
    dilated = [int(d) if axis in over else 1 for axis, d in zip("thw", dilation, strict=True)]
    return Groups(
        over, (int(grid[0]), int(grid[1]), int(grid[2])), (t, h, w), (dilated[0], dilated[1], dilated[2]),
        (shifts[0], shifts[1], shifts[2]),
    )  # fmt: skip
