from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.attributes import Real
from archdsl.layers.base import ANY_LAYOUT, Layer, Saved, Use, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("dropout", category="regularisation")
class Dropout(Layer):
    """In training, each value is 0 with probability `p` and the others grow by 1 / (1 - p) (Srivastava et al. 2014)."""

    module = True
    layouts = ANY_LAYOUT

    p = Real(low=0.0, high=1.0, doc="probability of 0")

    def is_identity(self, *inputs: Grid) -> bool:
        return self.p == 0.0

    def is_view(self, *inputs: Grid) -> bool:
        return self.p == 0.0

    def saved(self, use: Use) -> Saved:
        if self.p == 0.0:
            return Saved()
        # What each number is multiplied with; on a GPU, whether it stays.
        return Saved(own=(1 if use.precision.cuda else use.number) * use.output.elements)

    def plan(self, use: Use) -> dict[str, Any]:
        return {"p": self.p}
