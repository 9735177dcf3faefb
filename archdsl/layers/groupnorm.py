from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attributes import Integer, Real
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import Layer, ShapeError, divisors, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("groupnorm", category="norm")
class GroupNorm(Layer):
    """Normalisation over all positions of a group of channels (Wu and He 2018), with a learned scale γ and shift β."""

    groups = Integer(doc="number of groups; as many as channels: instance normalisation")
    eps = Real(1e-5, low=1e-15, high=1.0, doc="ε, added to the variance")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if x.channels % self.groups:
            message = f"{int(x.channels)} channels cannot be split into {int(self.groups)} groups"
            raise ShapeError(message, "groups", "E0504", divisors("groups", x.channels, nearest=self.groups))
        return x

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("weight", "bias"), (inputs[0].channels,))

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return dict.fromkeys(("weight", "bias"), (OUT,))
