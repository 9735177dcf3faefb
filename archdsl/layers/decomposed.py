from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from archdsl.core.values import Symbol
from archdsl.layers.attributes import Initialiser, Size
from archdsl.layers.axes import Axis, Inner, Offsets
from archdsl.layers.base import layer
from archdsl.layers.bias import BIAS, Bias

if TYPE_CHECKING:
    from archdsl.core.grid import Grid
    from archdsl.layers.axes import Size3


@layer("decomposed", category=BIAS)
class Decomposed(Bias):
    """A bias of scores: the products of the query with a learned vector for the distance on each axis.

    (MViTv2: Li et al. 2022, equation 6.) Distances are in positions of the finer of the grids of queries and keys.
    Tables that were made for another grid are interpolated, as in PySlowFast.
    """

    takes_queries = True
    title = "the decomposed relative position bias"

    made_for = Size(0, minimum=0, doc="the positions that the tables were made for, if others; 0: these")
    init = Initialiser(Symbol("trunc_normal", (0.02,)), doc="how they begin")

    @property
    def rows(self) -> Size3:
        """Rows of the tables."""
        found = self.geometry
        ends = zip(self.made_for, found.queries, found.keys, strict=True)
        t, h, w = (2 * int(n or max(q, k)) - 1 for n, q, k in ends)
        return t, h, w

    @property
    def is_stretched(self) -> bool:
        """True if tables are interpolated."""
        ends = zip("thw", self.rows, self.geometry.queries, self.geometry.keys, strict=True)
        return any(a in self.geometry.axes and rows != 2 * max(q, k) - 1 for a, rows, q, k in ends)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        rows = zip("thw", self.rows, strict=True)
        return {axis: (n, self.geometry.width) for axis, n in rows if axis in self.geometry.axes}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {axis: (Offsets(axis), Inner()) for axis in self.geometry.axes}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {} if self.init.name == "zeros" else dict.fromkeys(self.geometry.axes, self.init)

    def bias_macs(self) -> int:
        found = self.geometry
        ends = sum(n for a, n in zip("thw", found.keys, strict=True) if a in found.axes)
        return found.frames * found.groups * prod(found.queries) * found.heads * found.width * ends
