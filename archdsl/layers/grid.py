from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import FRAME
from archdsl.layers.base import Layer, ShapeError, grids_differ, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("grid", category="merge")
class OnGrid(Layer):
    """A chain for the positions of a value, whose tokens pass unchanged: `grid { conv(64, 3, groups = 64) }`."""

    many = True
    takes_tokens = True
    hands_on_gradient = True
    passes_tokens = True

    def infer(self, *inputs: Grid) -> Grid:
        x, grid = inputs
        if grid.tokens:
            raise ShapeError(
                f"{grid} has tokens, beside those that pass", code="E0511", hint="remove them in the braces"
            )
        if grid.channels != x.channels:
            message = f"{int(grid.channels)} channels at the positions, {int(x.channels)} of the {x.tokens}"
            hint = f"end the chain in `linear({int(x.channels)})`"
            raise ShapeError(message, code="E0501", hint=hint)
        if x.token == FRAME and grid.t != x.t:
            raise ShapeError(f"each frame has tokens: {grids_differ(grid, x)}", code="E0502", hint="keep the frames")
        return grid._replace(tokens=x.tokens)
