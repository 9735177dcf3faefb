"""The tensor type of the language."""

from __future__ import annotations

from typing import Any, NamedTuple

# The scope of tokens: none, tokens of the whole clip, or of each frame.
NO_TOKEN, CLIP, FRAME = "", "clip", "frame"
CLASS_TOKEN = "token"  # the name of a class token

MAX_ELEMENTS = 10**12  # of one tensor, for one clip: 4 TB in float32, far below the limits of torch's sizes
SIZE_HINT = "look for a wrong size of the clip, kernel, width or repeat"


class Tokens(NamedTuple):
    """Tokens beside the positions of a grid, all of the clip or of each frame: the name and number of each kind.

    In memory tokens stand before the positions, in this order.
    """

    scope: str = NO_TOKEN
    kinds: tuple[tuple[str, int], ...] = ()

    @property
    def number(self) -> int:
        """Number of tokens of the clip, or of one frame."""
        return sum(number for _, number in self.kinds)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.kinds)

    @property
    def noun(self) -> str:
        """The word for them in text: `class token`, `token` or `tokens`."""
        if self.number > 1:
            return "tokens"
        return "class token" if self.names == (CLASS_TOKEN,) else "token"

    def span(self, name: str) -> tuple[int, int]:
        """Return the places of the first token of a kind and of the one behind the last."""
        at = self.names.index(name)
        start = sum(number for _, number in self.kinds[:at])
        return start, start + self.kinds[at][1]

    def with_kind(self, name: str, number: int, scope: str) -> Tokens:
        """Return these tokens, then `number` of another kind."""
        return Tokens(scope, (*self.kinds, (name, number)))

    def without(self, name: str) -> Tokens:
        """Return these tokens without one kind."""
        kinds = tuple(kind for kind in self.kinds if kind[0] != name)
        return Tokens(self.scope, kinds) if kinds else NO_TOKENS

    def __bool__(self) -> bool:
        return bool(self.kinds)

    def __str__(self) -> str:
        """Format tokens as `class token, 4 registers per frame`."""
        texts = [f"{number} {name}" for name, number in self.kinds]
        texts = ["class token" if text == f"1 {CLASS_TOKEN}" else text for text in texts]
        return ", ".join(texts) + (" per frame" if self.scope == FRAME else "")


NO_TOKENS = Tokens()


class Grid(NamedTuple):
    """A tensor shape: `channels` values at each of `t` × `h` × `w` positions, and of each token beside them.

    The batch axis is omitted. A vector is a grid of 1×1×1 without tokens.
    """

    channels: int
    t: int
    h: int
    w: int
    tokens: Tokens = NO_TOKENS

    @property
    def token(self) -> str:
        """Scope of its tokens: none, `clip` or `frame`."""
        return self.tokens.scope

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
    def token_count(self) -> int:
        """Number of tokens, those of all frames together."""
        return self.tokens.number * (self.t if self.token == FRAME else 1)

    @property
    def elements(self) -> int:
        return self.channels * (self.positions + self.token_count)

    @property
    def is_vector(self) -> bool:
        return self.size == (1, 1, 1) and not self.tokens

    def __str__(self) -> str:
        positions = "×".join(str(int(n)) for n in self.shape)
        return f"{positions} + {self.tokens}" if self.tokens else positions


class MixedGrid(Grid):
    """The shape of the first of several values that are treated alike, and differ in their channels."""

    widths: str  # the channels of each, as a message names them

    @classmethod
    def of(cls, first: Grid, widths: str) -> MixedGrid:
        """Return the first shape, with the channels of all."""
        made = cls(*first)
        made.widths = widths
        return made


def count_text(count: int) -> str:
    """Format a number of elements; very large ones are rounded."""
    return f"{int(count):,}" if count <= 10 * MAX_ELEMENTS else f"{float(min(int(count), 10**300)):.1e}"


def grid_text(size: tuple[int, int, int]) -> str:
    """Format a size (T, H, W) as `T×H×W`."""
    return "×".join(str(int(n)) for n in size)


def fixed(grid: Grid) -> tuple[int, int, int]:
    """Return the size (T, H, W) of a grid as plain integers, for code that is valid for this size only."""
    fix(*grid.size)
    return int(grid.t), int(grid.h), int(grid.w)


def fix(*sizes: int) -> None:
    """Require the declared size of the clip, on which these sizes depend."""
    for n in sizes:
        require: Any = getattr(n, "fix", None)  # of a symbolic size, in the analysis of clip limits
        if require is not None:
            require()
