from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.base import VALUES, Layer, ShapeError, grids_differ, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("add", category="merge")
class Add(Layer):
    """Elementwise sum of several values of one shape."""

    many = True
    elementwise = True
    joins = VALUES
    hands_on_gradient = True
    drawn_as = "+"
    joined = "added"

    def infer(self, *inputs: Grid) -> Grid:
        first = inputs[0]
        if any(x.tokens != first.tokens for x in inputs):
            self._check_tokens(inputs)
        for x in inputs[1:]:
            if x.channels != first.channels:
                message = (
                    f"{first} and {x} cannot be {self.joined}: {int(first.channels)} and {int(x.channels)} channels"
                )
                hint = f"`conv({int(first.channels)}, 1)` maps {int(x.channels)} channels to {int(first.channels)}"
                raise ShapeError(message, code="E0501", hint=hint)
            if x.size != first.size:
                message = f"{first} and {x} cannot be {self.joined}: {grids_differ(first, x)}"
                raise ShapeError(message, code="E0502")
        return next((x for x in inputs if x.tokens), first)

    def _check_tokens(self, inputs: tuple[Grid, ...]) -> None:
        """Accept two values of which one has a class token: the grid is added to its positions, the token unchanged."""
        if len(inputs) == 2 and not all(x.tokens for x in inputs):
            return
        message = f"{' and '.join(map(str, inputs))} cannot be {self.joined}: they differ in their tokens"
        raise ShapeError(message, code="E0511", hint="`select(grid)` removes tokens")

    def is_identity(self, *inputs: Grid) -> bool:
        return len(inputs) == 1
