from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.values import Symbol
from archdsl.layers.attributes import Flag, Real
from archdsl.layers.axes import ONE_MORE, OUT, Axis
from archdsl.layers.base import Layer, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("layernorm", category="norm")
class LayerNorm(Layer):
    """Normalisation over the channels of each position (Ba et al. 2016), with a learned scale γ and shift β.

    A `zero_centred` one has 1 + weight for γ: a weight of 0 changes nothing, and weight decay draws γ to 1. VideoPrism
    (Zhao et al. 2024) has such weights.
    """

    takes_tokens = True
    treats_positions_alone = True

    eps = Real(1e-5, low=1e-15, high=1.0, doc="ε, added to the variance")
    zero_centred = Flag(False, doc="whether γ is 1 + weight, and the weight begins at 0")

    beta = Real(0.0, low=-1e6, high=1e6, doc="initial value of the shift β")

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("weight", "bias"), (inputs[0].channels,))

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return dict.fromkeys(("weight", "bias"), (OUT,))

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {"bias": Symbol("constant", (self.beta,))} if self.beta else {}

    def stored_as(self) -> dict[str, str]:
        return {"weight": ONE_MORE} if self.zero_centred else {}
