from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attributes import Real
from archdsl.layers.base import Layer, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("drop_path", category="regularisation")
class DropPath(Layer):
    """Stochastic depth (Huang et al. 2016): at the end of a residual branch, it skips the branch for some clips.

    In training, the value of a clip is set to 0 with probability `p`, and scaled by 1 / (1 - p) otherwise.
    """

    elementwise = True

    p = Real(low=0.0, high=0.999, doc="drop probability")

    def is_identity(self, *inputs: Grid) -> bool:
        return self.p == 0.0
