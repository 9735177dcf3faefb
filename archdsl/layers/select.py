from __future__ import annotations

from archdsl.core.grid import CLIP, FRAME, Grid, fixed
from archdsl.layers.attributes import GRID, TokenName
from archdsl.layers.base import Layer, layer
from archdsl.layers.tokens import absent

ALL = "all"


@layer("select", category="position")
class Select(Layer):
    """Selection of one part of a value with tokens: the `token`, tokens of another name, or the `grid` without tokens.

    The token of a clip is a vector; n tokens are a grid 1×1×n, those of frames T×1×n. `all` is a grid of the same form
    that holds all tokens and then the positions, in one row for the clip or for each frame.
    """

    takes_tokens = True
    treats_positions_alone = True

    part = TokenName("token", GRID, ALL, doc="the selected part: `token`, `grid`, `all` or another name of tokens")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if not x.tokens or self.part not in (GRID, ALL, *x.tokens.names):
            raise absent(x, "token" if self.part in (GRID, ALL) else self.part, "part")
        if self.takes_all(x):
            rows = x.h * x.w if x.token == FRAME else x.positions
            return Grid(x.channels, x.t if x.token == FRAME else 1, 1, x.tokens.number + rows)
        if self.part == GRID:
            if x.token == CLIP:
                fixed(x)
            return Grid(x.channels, *x.size)
        start, stop = x.tokens.span(self.part)
        return Grid(x.channels, x.t if x.token == FRAME else 1, 1, stop - start)

    def takes_all(self, x: Grid) -> bool:
        """Return True if tokens and positions are taken; there can be tokens of that name, too."""
        return self.part == ALL and ALL not in x.tokens.names

    def selects_all(self, *inputs: Grid) -> bool:
        return self.part == GRID and not inputs[0].tokens
