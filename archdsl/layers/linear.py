from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.values import Symbol
from archdsl.layers.attributes import BiasInitialiser, Flag, Integer, WeightInitialiser, bias_start
from archdsl.layers.axes import IN, OUT, Axis
from archdsl.layers.base import Layer, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("linear", category="linear")
class Linear(Layer):
    """Linear map of the channels at every position: y = W x + b."""

    takes_tokens = True
    projects = True

    heavy = True
    width = "out"

    out = Integer(doc="output channels")
    bias = Flag(True, doc="a learned bias for each output channel")
    init = WeightInitialiser(Symbol("normal", (0.01,)), doc="initialiser of the weight")
    bias_init = BiasInitialiser()

    def infer(self, *inputs: Grid) -> Grid:
        return inputs[0]._replace(channels=self.out)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        weight = (self.out, inputs[0].channels)
        return {"weight": weight} | ({"bias": (self.out,)} if self.bias else {})

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"weight": (OUT, IN), "bias": (OUT,)}

    def macs(self, output: Grid, *inputs: Grid) -> int:
        return output.elements * inputs[0].channels

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {"weight": self.init} | ({"bias": bias_start(self.init, self.bias_init)} if self.bias else {})

    def maps_positions(self) -> bool:
        return True
