from __future__ import annotations

from archdsl.core.grid import FRAME, Grid, fixed
from archdsl.layers.attributes import Choice
from archdsl.layers.base import Layer, ShapeError, layer


@layer("select", category="position")
class Select(Layer):
    """Selection of one part of a value with class tokens: the `token`, or the `grid` without tokens.

    The token of a clip is a vector; the tokens of frames are a grid T×1×1.
    """

    takes_tokens = True

    part = Choice("token", "grid", doc="the selected part")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if not x.token:
            hint = "insert one with `class_token`, before the first attention"
            raise ShapeError(f"{x} has no class token", "part", "E0511", hint)
        if self.part == "grid":
            if x.token != FRAME:
                fixed(x)
            return Grid(x.channels, *x.size)
        return Grid(x.channels, x.t if x.token == FRAME else 1, 1, 1)

    def selects_all(self, *inputs: Grid) -> bool:
        return self.part == "grid" and not inputs[0].token
