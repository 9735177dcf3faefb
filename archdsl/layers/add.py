from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.base import Layer, ShapeError, grids_differ, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("add", category="merge")
class Add(Layer):
    """The sum of several values of one shape."""

    many = True
    joined = "added"

    def infer(self, *inputs: Grid) -> Grid:
        first = inputs[0]
        for x in inputs[1:]:
            if x.channels != first.channels:
                message = (
                    f"{first} and {x} cannot be {self.joined}: {int(first.channels)} and {int(x.channels)} channels"
                )
                hint = f"`conv({int(first.channels)}, 1)` brings {int(x.channels)} channels to {int(first.channels)}"
                raise ShapeError(message, code="E0501", hint=hint)
            if x.size != first.size:
                found, hint = grids_differ(first, x)
                raise ShapeError(f"{first} and {x} cannot be {self.joined}: {found}", code="E0502", hint=hint)
        return first

    def is_identity(self, *inputs: Grid) -> bool:
        return len(inputs) == 1
