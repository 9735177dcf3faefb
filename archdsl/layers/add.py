from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import grid_text
from archdsl.layers.base import Layer, ShapeError, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("add", category="merge")
class Add(Layer):
    """The sum of several values of one shape."""

    many = True

    def infer(self, *inputs: Grid) -> Grid:
        first = inputs[0]
        for x in inputs[1:]:
            if x.channels != first.channels:
                message = f"{first} and {x} cannot be added: {int(first.channels)} and {int(x.channels)} channels"
                raise ShapeError(message, code="E0501")
            if x.size != first.size:
                message = f"{first} and {x} cannot be added: grids of {grid_text(first.size)} and {grid_text(x.size)}"
                raise ShapeError(message, code="E0502")
        return first

    def is_identity(self, *inputs: Grid) -> bool:
        return len(inputs) == 1
