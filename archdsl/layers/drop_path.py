from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attributes import Real
from archdsl.layers.base import Layer, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("drop_path", category="regularisation")
class DropPath(Layer):
    """In training, the whole value of a clip is 0 with probability `p`, else it grows by 1 / (1 - p).

    Stochastic depth (Huang et al. 2016): behind the body of a residual it leaves out the block.
    """

    elementwise = True

    p = Real(low=0.0, high=0.999, doc="probability of 0")

    def is_identity(self, *inputs: Grid) -> bool:
        return self.p == 0.0
