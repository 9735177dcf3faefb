from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attributes import Real
from archdsl.layers.base import Layer, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("dropout", category="regularisation")
class Dropout(Layer):
    """In training, each value is 0 with probability `p` and the others grow by 1 / (1 - p) (Srivastava et al. 2014)."""

    elementwise = True

    p = Real(low=0.0, high=1.0, doc="probability of 0")

    def is_identity(self, *inputs: Grid) -> bool:
        return self.p == 0.0
