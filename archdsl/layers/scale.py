from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.values import Symbol
from archdsl.layers.attributes import Choice, Real
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import Layer, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid

CHANNELS, VALUE = "channels", "value"


@layer("scale", category="norm")
class Scale(Layer):
    """A learned factor for each channel (LayerScale: Touvron et al. 2021, section 2), or one for the whole value.

    Behind a residual branch, a small `init` makes the block begin near the identity; one of 0 is ReZero (Bachlechner
    et al. 2020).
    """

    takes_tokens = True
    treats_positions_alone = True

    init = Real(1.0, low=-float("inf"), doc="initial value of the factors")
    per = Choice(CHANNELS, VALUE, default=CHANNELS, doc="a factor for each channel, or one factor")

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return {"weight": (inputs[0].channels,) if self.per == CHANNELS else ()}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"weight": (OUT,) if self.per == CHANNELS else ()}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        if self.init == 1.0:
            return {}
        return {"weight": Symbol("zeros") if self.init == 0.0 else Symbol("constant", (self.init,))}
