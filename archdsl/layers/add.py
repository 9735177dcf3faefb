from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME, fix
from archdsl.layers.base import VALUES, Layer, ShapeError, grids_differ, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("add", category="merge")
class Add(Layer):
    """Elementwise sum of several values of one shape; axes of 1 are repeated, as NumPy broadcasts.

    `add { in, avgpool }` adds a vector to each position. A grid without tokens is added to the positions of a value
    that has some; the tokens are unchanged.
    """

    many = True
    elementwise = True
    joins = VALUES
    hands_on_gradient = True
    drawn_as = "+"
    joined = "added"
    beside_tokens = True  # a grid can be joined to the positions of a value with tokens

    strict = False  # no axis is repeated, as in a residual
    keeps_first = False  # the result has the shape of the first value, as in a lateral connection

    def infer(self, *inputs: Grid) -> Grid:
        if any(x.tokens != inputs[0].tokens for x in inputs):
            self._check_tokens(inputs)
        shape = [self._size(inputs, axis) for axis in ("channels", "t", "h", "w")]
        main = next((x for x in inputs if x.tokens), inputs[0])
        if main.tokens:
            for x in inputs:
                self._check_positions(main, x)
        channels, t, h, w = shape
        unchanged = all(a is b for a, b in zip(shape, main.shape, strict=True))
        return main if unchanged else main._replace(channels=channels, t=t, h=h, w=w)

    def _size(self, inputs: tuple[Grid, ...], axis: str) -> Any:
        """Return the size of the result along an axis."""
        main, repeats_first = inputs[0], not (self.strict or self.keeps_first)  # the value that has it
        for x in inputs[1:]:
            size, other = getattr(main, axis), getattr(x, axis)
            if not self.strict and _is_one(other):
                continue
            if not (repeats_first and _is_one(size)):
                if size == other:
                    continue
                if not (repeats_first and size == 1) and (self.strict or other != 1):
                    raise self._differ(main, x, channels=axis == "channels")
                fix(size, other)  # 1 for a clip of this size only
            main = x if size == 1 else main
        return getattr(main, axis)

    def _differ(self, first: Grid, x: Grid, *, channels: bool) -> ShapeError:
        message = f"{first} and {x} cannot be {self.joined}: "
        if not channels:
            return ShapeError(message + grids_differ(first, x), code="E0502")
        message += f"{int(first.channels)} and {int(x.channels)} channels"
        hint = f"`conv({int(first.channels)}, 1)` maps {int(x.channels)} channels to {int(first.channels)}"
        return ShapeError(message, code="E0501", hint=hint)

    def _check_tokens(self, inputs: tuple[Grid, ...]) -> None:
        """Accept two values of which one has tokens: the grid is added to its positions, the tokens unchanged."""
        if self.beside_tokens and len(inputs) == 2 and not all(x.tokens for x in inputs):
            return
        message = f"{' and '.join(map(str, inputs))} cannot be {self.joined}: they differ in their tokens"
        raise ShapeError(message, code="E0511", hint="`select(grid)` removes tokens")

    def _check_positions(self, main: Grid, x: Grid) -> None:
        """Refuse a value whose positions are repeated along some axes only, beside a value with tokens.

        In memory, the positions of a value with tokens are one axis, those of its frames if the tokens are of frames.
        """
        own = (main.t,), (main.h, main.w)
        given = (x.t,), (x.h, x.w)
        if main.token != FRAME:
            own, given = (main.size,), (x.size,)
        for ours, theirs in zip(own, given, strict=True):
            if not x.tokens and all(map(_is_one, theirs)):
                continue
            if ours != theirs and (x.tokens or any(n != 1 for n in theirs)):
                hint = f"`grid {{ {self.kind} {{ in, … }} }}` repeats single axes"
                message = f"{main} and {x} cannot be {self.joined}: {grids_differ(main, x)}"
                raise ShapeError(message, code="E0502", hint=hint)
        if not x.tokens and x.channels != 1 and main.channels == 1:
            raise self._differ(main, x, channels=True)

    def is_identity(self, *inputs: Grid) -> bool:
        return len(inputs) == 1


def _is_one(size: int) -> bool:
    """Return True if an axis is 1 for clips of any size."""
    return type(size) is int and size == 1
