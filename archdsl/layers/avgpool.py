from __future__ import annotations

from archdsl.core.grid import Grid
from archdsl.layers.base import GRID, VECTOR, Layer, layer


@layer("avgpool", category="pool")
class AvgPool(Layer):
    """The mean over all positions: a grid becomes a vector."""

    layouts = (GRID,)

    def infer(self, *inputs: Grid) -> Grid:
        return Grid(inputs[0].channels, 1, 1, 1)

    def output_layout(self, layout: str) -> str:
        return VECTOR
