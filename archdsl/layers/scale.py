from __future__ import annotations

from fractions import Fraction
from math import log
from typing import TYPE_CHECKING

from archdsl.core.values import Symbol
from archdsl.layers.attributes import Choice, Flag, Real
from archdsl.layers.axes import OUT, SOFTPLUS, Axis
from archdsl.layers.base import Layer, ShapeError, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid

CHANNELS, VALUE = "channels", "value"


@layer("scale", category="norm")
class Scale(Layer):
    """A learned factor for each channel (LayerScale: Touvron et al. 2021, section 2), or one for the whole value.

    Behind a residual branch, a small `init` makes the block begin near the identity; one of 0 is ReZero (Bachlechner
    et al. 2020). With `softplus` the factors are log(1 + exp(weight)) / log 2: positive, and 1 for a weight of 0, as
    those of the queries of VideoPrism's pooling (Zhao et al. 2024). Without `learned` they are the constant `init`.
    """

    takes_tokens = True
    exclusive = "softplus", "learned"
    treats_positions_alone = True

    init = Real(1.0, low=-float("inf"), doc="initial value of the factors")
    softplus = Flag(False, doc="whether the factors are softplus(weight) / log 2, which is above 0")
    per = Choice(CHANNELS, VALUE, default=CHANNELS, doc="a factor for each channel, or one factor")
    learned = Flag(True, doc="whether the factors are weights; else they are a constant")

    def infer(self, *inputs: Grid) -> Grid:
        if self.softplus and self.init <= 0.0:
            raise ShapeError("factors of softplus are above 0", "init", "E0305", "a small number, such as 1e-3")
        return inputs[0]

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        if not self.learned:
            return {}
        return {"weight": (inputs[0].channels,) if self.per == CHANNELS else ()}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"weight": (OUT,) if self.per == CHANNELS else ()} if self.learned else {}

    def stored_as(self) -> dict[str, str]:
        return {"weight": SOFTPLUS} if self.softplus else {}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        if self.init == 1.0 or not self.learned:
            return {}
        if self.softplus:
            return {"weight": Symbol("constant", (Fraction(log(2**self.init - 1)),))}
        return {"weight": Symbol("zeros") if self.init == 0.0 else Symbol("constant", (self.init,))}
