from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.base import ANY_LAYOUT, CHANNELS_LAST, TOKENS, Layer, Saved, ShapeError, Use, grids_differ, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("concat", category="merge")
class Concat(Layer):
    """Puts the channels of several values of one grid behind each other."""

    many = True
    layouts = ANY_LAYOUT

    def infer(self, *inputs: Grid) -> Grid:
        first = inputs[0]
        for x in inputs[1:]:
            if x.token != first.token:
                message = f"{first} and {x} cannot be concatenated: they differ in their class tokens"
                raise ShapeError(message, code="E0511", hint="`select(grid)` leaves a class token out")
            if x.size != first.size:
                message = f"{first} and {x} cannot be concatenated: {grids_differ(first, x)}"
                raise ShapeError(message, code="E0502")
        channels = first.channels
        for x in inputs[1:]:
            channels = channels + x.channels
        return first._replace(channels=channels)

    def is_identity(self, *inputs: Grid) -> bool:
        return len(inputs) == 1

    def saved(self, use: Use) -> Saved:
        return Saved()

    def plan(self, use: Use) -> dict[str, Any]:
        return {"axis": -1 if use.layout in (CHANNELS_LAST, TOKENS) else 1}
