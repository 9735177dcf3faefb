from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.base import CHANNELS, Layer, ShapeError, grids_differ, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("concat", category="merge")
class Concat(Layer):
    """Concatenation of the channels of several values of one grid."""

    many = True
    takes_tokens = True
    treats_positions_alone = True
    joins = CHANNELS
    hands_on_gradient = True

    def infer(self, *inputs: Grid) -> Grid:
        first = inputs[0]
        for x in inputs[1:]:
            if x.tokens != first.tokens:
                message = f"{first} and {x} cannot be concatenated: they differ in their tokens"
                raise ShapeError(message, code="E0511", hint="`select(grid)` removes tokens")
            if x.size != first.size:
                message = f"{first} and {x} cannot be concatenated: {grids_differ(first, x)}"
                raise ShapeError(message, code="E0502")
        channels = first.channels
        for x in inputs[1:]:
            channels = channels + x.channels
        return first._replace(channels=channels)

    def is_identity(self, *inputs: Grid) -> bool:
        return len(inputs) == 1
