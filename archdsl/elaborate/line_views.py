"""Values of the branches of a line, and what layers see of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archdsl.core.grid import NO_TOKENS, Grid, MixedGrid, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.layers.attention_lines import Origin


@dataclass
class Bundle:
    """Values of several branches at one place of a line, with their shapes, all heads together.

    A value that is the same for all branches has the key "".
    """

    origins: dict[str, Origin]
    shapes: dict[str, Grid]

    def origin(self, branch: str) -> Origin:
        return self.origins.get(branch) or self.origins[""]

    def shape(self, branch: str) -> Grid:
        return self.shapes.get(branch) or self.shapes[""]


@dataclass
class View:
    """View of branches in the braces of `each_head` and `grid`: the channels of one head, positions without tokens."""

    heads: Mapping[str, int] = field(default_factory=dict[str, int])  # treated alike
    tokens: Mapping[str, Tokens] = field(default_factory=dict[str, Tokens])  # that pass
    entered: int = -1  # the value whose tokens pass

    @property
    def by_head(self) -> bool:
        """True in `each_head`."""
        return bool(self.heads)

    def of(self, shape: Grid, branch: str) -> Grid:
        """Return the part of a branch's shape that layers see."""
        heads = self.heads.get(branch, 1)
        channels = shape.channels // heads if heads != 1 else shape.channels
        return Grid(channels, shape.t, shape.h, shape.w, NO_TOKENS if self.tokens else shape.tokens)

    def whole(self, shape: Grid, entered: Grid, branch: str) -> Grid:
        """Return the shape of all heads, with tokens, of which layers have given a part."""
        heads, channels = self.heads.get(branch, 1), shape.channels
        if heads != 1:
            same = int(channels) * heads == int(entered.channels)  # not the formula of a quotient, times heads
            channels = entered.channels if same else channels * heads
        return Grid(channels, shape.t, shape.h, shape.w, self.tokens[branch] if self.tokens else shape.tokens)


def shown(shapes: Mapping[str, Grid]) -> Grid:
    """Return the shape that stands for those of all branches: the first one, with a word on other channels."""
    first = next(iter(shapes.values()))
    if len({int(s.channels) for s in shapes.values()}) == 1:
        return first
    return MixedGrid.of(first, ", ".join(f"{int(s.channels)} for `{branch}`" for branch, s in shapes.items()))
