from __future__ import annotations

from archdsl.core.grid import Grid, fixed, grid_text
from archdsl.layers.attributes import Choice, Integer
from archdsl.layers.base import ShapeError, layer
from archdsl.layers.masked import Masked

VISIBLE, HIDDEN = "visible", "hidden"


@layer("keep", category="position")
class Keep(Masked):
    """The positions that a mask leaves visible, in order, as a grid of 1×1×n (He et al. 2022, section 3).

    `keep(mask, n, hidden)` gives those that it hides. Position embeddings stand before it: behind it, positions have no
    places in time and space. Sizes and costs are those for n. A call of the module can have masks that leave another
    number, the same of each clip; compiled and exported modules take n.
    """

    takes_places = True

    n = Integer(minimum=1, doc="number of these positions")
    which = Choice(VISIBLE, HIDDEN, default=VISIBLE, doc="the positions that are kept")

    def infer(self, *inputs: Grid) -> Grid:
        x, mask = inputs[0], inputs[-1]
        if fixed(x) != fixed(mask):
            message = f"a mask of {grid_text(mask.size)} for a grid of {grid_text(x.size)}"
            hint = f"declare the mask with [{', '.join(str(int(n)) for n in x.size)}]"
            if (x.t, x.h) == (1, 1):
                hint = "`keep` has left these positions already; `restore` puts them back on the grid"
            raise ShapeError(message, "mask", "E0502", hint)
        if self.n > x.positions:
            message = f"a grid of {grid_text(x.size)} has {int(x.positions)} positions, not {int(self.n)}"
            raise ShapeError(message, "n", "E0305", f"keep at most {int(x.positions)}")
        return Grid(x.channels, 1, 1, self.n)

    def visible(self, *inputs: Grid) -> int:
        return int(self.n if self.which == VISIBLE else inputs[-1].positions - self.n)
