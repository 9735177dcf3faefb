from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attributes import Flag
from archdsl.layers.base import Layer, ShapeError, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("gelu", category="activation")
class GELU(Layer):
    """GELU, x · Φ(x) with the cumulative normal distribution Φ (Hendrycks and Gimpel 2016).

    `quick = on` is x · σ(1.702 x), the approximation by the logistic function σ (section 2), as in CLIP; `tanh = on` is
    the closer one by the hyperbolic tangent.
    """

    elementwise = True

    tanh = Flag(False, doc="the tanh approximation of Φ")
    quick = Flag(False, doc="the sigmoid approximation of Φ")

    def infer(self, *inputs: Grid) -> Grid:
        if self.tanh and self.quick:
            message = "`quick` and `tanh` are two approximations, of which GELU has one"
            raise ShapeError(message, "quick", "E0510", "leave one of them out")
        return inputs[0]
