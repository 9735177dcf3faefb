from __future__ import annotations

from archdsl.core.grid import CLIP, Grid, fixed
from archdsl.layers.attributes import TokenName
from archdsl.layers.base import Layer, layer
from archdsl.layers.tokens import absent


@layer("without", category="position")
class Without(Layer):
    """Removal of the tokens of one name from a value; the positions and other tokens stay."""

    takes_tokens = True

    name = TokenName("token", doc="the name of the tokens")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if self.name not in x.tokens.names:
            raise absent(x, self.name, "name")
        left = x._replace(tokens=x.tokens.without(self.name))
        if x.token == CLIP and not left.tokens:
            fixed(x)
        return left
