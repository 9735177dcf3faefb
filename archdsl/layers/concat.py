from __future__ import annotations

from typing import Any

from archdsl.core.grid import Grid
from archdsl.layers.base import CHANNELS_LAST, Layer, ShapeError, Use, grids_differ, layer


@layer("concat", category="merge")
class Concat(Layer):
    """Puts the channels of several values of one grid behind each other."""

    many = True

    def infer(self, *inputs: Grid) -> Grid:
        first = inputs[0]
        for x in inputs[1:]:
            if x.size != first.size:
                found, hint = grids_differ(first, x)
                raise ShapeError(f"{first} and {x} cannot be concatenated: {found}", code="E0502", hint=hint)
        channels = first.channels
        for x in inputs[1:]:
            channels = channels + x.channels
        return Grid(channels, *first.size)

    def is_identity(self, *inputs: Grid) -> bool:
        return len(inputs) == 1

    def plan(self, use: Use) -> dict[str, Any]:
        return {"axis": -1 if use.layout == CHANNELS_LAST else 1}
