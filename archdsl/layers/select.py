from __future__ import annotations

from archdsl.core.grid import CLIP, FRAME, Grid, fixed
from archdsl.layers.attributes import GRID, TokenName
from archdsl.layers.base import Layer, layer
from archdsl.layers.tokens import absent


@layer("select", category="position")
class Select(Layer):
    """Selection of one part of a value with tokens: the `token`, tokens of another name, or the `grid` without tokens.

    The token of a clip is a vector; n tokens are a grid 1×1×n, those of frames T×1×n.
    """

    takes_tokens = True
    treats_positions_alone = True

    part = TokenName("token", GRID, doc="the selected part: `token`, `grid` or another name of tokens")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if not x.tokens or self.part not in (GRID, *x.tokens.names):
            raise absent(x, "token" if self.part == GRID else self.part, "part")
        if self.part == GRID:
            if x.token == CLIP:
                fixed(x)
            return Grid(x.channels, *x.size)
        start, stop = x.tokens.span(self.part)
        return Grid(x.channels, x.t if x.token == FRAME else 1, 1, stop - start)

    def selects_all(self, *inputs: Grid) -> bool:
        return self.part == GRID and not inputs[0].tokens
