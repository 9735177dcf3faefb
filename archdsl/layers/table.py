from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from archdsl.core.values import Symbol
from archdsl.layers.attributes import Flag, Initialiser
from archdsl.layers.axes import Axis, Distances, Heads
from archdsl.layers.base import layer
from archdsl.layers.bias import BIAS, Bias, check_steps

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("table", category=BIAS)
class Table(Bias):
    """A bias of scores: a learned number for each head and each distance in a window (Liu et al. 2022).

    Distances are in positions of the grid that enters the attention. The rows run over t, then h, then w, from the
    lowest distance. A window that is larger than its axis has rows for all its distances.
    """

    takes_band = True
    in_windows = True
    title = "the relative position bias from a table"

    prefix = Flag(False, doc="whether a window that became smaller reads the first rows of the larger one's index")
    init = Initialiser(Symbol("trunc_normal", (0.02,)), doc="how it begins")

    def check(self) -> None:
        check_steps(self.geometry)

    @property
    def takes_first_rows(self) -> bool:
        return self.prefix

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return {"": (prod(2 * n - 1 for n in self.geometry.largest), self.geometry.heads)}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"": (Distances(self.geometry.largest), Heads())}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {} if self.init.name == "zeros" else {"": self.init}
