from __future__ import annotations

from typing import Any

from archdsl.core.grid import FRAME, Grid, fixed
from archdsl.layers.attributes import Choice
from archdsl.layers.base import CHANNELS_LAST, TOKENS, VECTOR, Layer, Saved, ShapeError, Use, layer


@layer("select", category="position")
class Select(Layer):
    """One part of a value with class tokens: the `token`, or the `grid` without it.

    The token of a clip is a vector; those of the frames are a grid of T×1×1.
    """

    layouts = (TOKENS,)

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

    def output_layout(self, layout: str, *inputs: Grid) -> str:
        return VECTOR if self.part == "token" and inputs[0].token != FRAME else CHANNELS_LAST

    def form(self, *inputs: Grid) -> tuple[Any, ...]:
        return self.part, inputs[0].token, *(map(int, inputs[0].size) if self.part == "grid" else ())

    def is_view(self, *inputs: Grid) -> bool:
        return True

    def saved(self, use: Use) -> Saved:
        return Saved()

    def plan(self, use: Use) -> dict[str, Any]:
        (x,) = use.examples
        size = tuple(map(int, x.size))
        return {"token": self.part == "token", "frame": x.token == FRAME, "size": size, "rows": size[1:]}
