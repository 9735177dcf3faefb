"""The tensor type of the language."""

from __future__ import annotations

from typing import Any, NamedTuple

# The scope of a class token: none, one for the whole clip, or one for each frame.
NO_TOKEN, CLIP, FRAME = "", "clip", "frame"
_TOKENS = {NO_TOKEN: "", CLIP: " + class token", FRAME: " + class token per frame"}


MAX_ELEMENTS = 10**12  # of one tensor, for one clip: 4 TB in float32, far below the limits of torch's sizes
SIZE_HINT = "look for a wrong size of the clip, kernel, width or repeat"


class Grid(NamedTuple):
    """A tensor shape: `channels` values at each of `t` × `h` × `w` positions, optionally with class tokens.

    The batch axis is omitted. A vector is a grid of 1×1×1 without a class token.
    """

    channels: int
    t: int
    h: int
    w: int
    token: str = NO_TOKEN

    @property
    def size(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        return self.t, self.h, self.w

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Channels, frames, height and width."""
        return self.channels, self.t, self.h, self.w

    @property
    def positions(self) -> int:
        return self.t * self.h * self.w

    @property
    def tokens(self) -> int:
        """Number of class tokens."""
        return {NO_TOKEN: 0, CLIP: 1, FRAME: self.t}[self.token]

    @property
    def elements(self) -> int:
        return self.channels * (self.positions + self.tokens)

    @property
    def is_vector(self) -> bool:
        return self.size == (1, 1, 1) and not self.token

    def __str__(self) -> str:
        return "×".join(str(int(n)) for n in self.shape) + _TOKENS[self.token]


def count_text(count: int) -> str:
    """Format a number of elements; very large ones are rounded."""
    return f"{int(count):,}" if count <= 10 * MAX_ELEMENTS else f"{float(min(int(count), 10**300)):.1e}"


def grid_text(size: tuple[int, int, int]) -> str:
    """Format a size (T, H, W) as `T×H×W`."""
    return "×".join(str(int(n)) for n in size)


def fixed(grid: Grid) -> tuple[int, int, int]:
    """Return the size (T, H, W) of a grid as plain integers, for code that is valid for this size only."""
    for n in grid.size:
        fix: Any = getattr(n, "fix", None)  # of a symbolic size, in the analysis of clip limits
        if fix is not None:
            fix()
    return int(grid.t), int(grid.h), int(grid.w)
