from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attributes import Real
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import Layer, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid

EPSILON = 2.0**-23  # the machine epsilon of float32


@layer("rmsnorm", category="norm")
class RMSNorm(Layer):
    """x / √(mean(x²) + ε) over the channels of each position (Zhang and Sennrich 2019), with a learned scale.

    By default, ε is 2⁻²³ ≈ 1.19e-7, the machine epsilon of float32.
    """

    takes_tokens = True
    treats_positions_alone = True

    eps = Real(EPSILON, low=1e-15, high=1.0, doc="ε, added to the mean square")

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return {"weight": (inputs[0].channels,)}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"weight": (OUT,)}
