from __future__ import annotations

from archdsl.core.grid import FRAME, Grid, fixed
from archdsl.layers.attributes import Choice
from archdsl.layers.base import Layer, ShapeError, layer


@layer("select", category="position")
class Select(Layer):
    """One part of a value with class tokens: the `token`, or the `grid` without it.

    The token of a clip is a vector; those of the frames are a grid of T×1×1.
    """

    takes_tokens = True

    part = Choice("token", "grid", doc="what is kept")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if not x.token:
            hint = "`class_token` in front of the first attention brings one"
            raise ShapeError(f"{x} has no class token", "part", "E0511", hint)
        if self.part == "grid":
            if x.token != FRAME:
                fixed(x)
            return Grid(x.channels, *x.size)
        return Grid(x.channels, x.t if x.token == FRAME else 1, 1, 1)
