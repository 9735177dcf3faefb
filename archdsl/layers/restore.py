from __future__ import annotations

from archdsl.core.grid import Grid, fixed, grid_text
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Initialiser
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import ShapeError, layer
from archdsl.layers.masked import Masked


@layer("restore", category="position")
class Restore(Masked):
    """The positions that `keep` has left, back at their places on the grid of the mask (He et al. 2022, section 3).

    All hidden positions have one learned vector, the mask token.
    """

    init = Initialiser(Symbol("trunc_normal", (0.02,)), doc="initialiser of the mask token")

    def infer(self, *inputs: Grid) -> Grid:
        x, mask = inputs[0], inputs[-1]
        fixed(x)
        t, h, w = fixed(mask)
        if (x.t, x.h) != (1, 1) or x.w > mask.positions:
            message = f"a grid of {grid_text(x.size)} is not that of positions which a mask leaves, 1×1×n"
            if (x.t, x.h) == (1, 1):
                message = f"{int(x.w)} positions, and the mask is of {grid_text(mask.size)}"
            raise ShapeError(message, "mask", "E0502", f"`keep({self.mask}, n)` before it gives a grid of 1×1×n")
        return Grid(x.channels, t, h, w)

    def visible(self, *inputs: Grid) -> int:
        return int(inputs[0].w)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return {"weight": (inputs[0].channels,)}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"weight": (OUT,)}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {} if self.init.name == "zeros" else {"weight": self.init}
