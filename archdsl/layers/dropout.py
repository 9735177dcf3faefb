from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attributes import Real
from archdsl.layers.base import Layer, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("dropout", category="regularisation")
class Dropout(Layer):
    """Dropout (Srivastava et al. 2014).

    In training, each element is set to 0 with probability `p`, and scaled by 1 / (1 - p) otherwise.
    """

    elementwise = True

    p = Real(low=0.0, high=1.0, doc="drop probability")

    def is_identity(self, *inputs: Grid) -> bool:
        return self.p == 0.0
