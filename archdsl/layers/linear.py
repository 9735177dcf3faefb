from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.values import Symbol
from archdsl.layers.attributes import Flag, Initialiser, Integer
from archdsl.layers.axes import IN, OUT, Axis
from archdsl.layers.base import CHANNELS_LAST, TOKENS, VECTOR, Layer, Saved, Use, layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid
    from archdsl.layers.base import Precision


@layer("linear", category="linear")
class Linear(Layer):
    """The same linear map of the channels at every position: y = W x + b."""

    module, heavy, torch_class = True, True, "nn.Linear"
    layouts = (VECTOR, CHANNELS_LAST, TOKENS)

    out = Integer(doc="output channels")
    bias = Flag(True, doc="whether a number is added to each output channel")
    init = Initialiser(Symbol("normal", (0.01,)), doc="how the weight begins; the bias begins at 0")

    def infer(self, *inputs: Grid) -> Grid:
        return inputs[0]._replace(channels=self.out)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        weight = (self.out, inputs[0].channels)
        return {"weight": weight} | ({"bias": (self.out,)} if self.bias else {})

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"weight": (OUT, IN), "bias": (OUT,)}

    def copied(self, *inputs: Grid) -> int:
        return self.params(*inputs)

    def macs(self, output: Grid, *inputs: Grid) -> int:
        return output.elements * inputs[0].channels

    def saved(self, use: Use) -> Saved:
        if use.channels_last and not use.cast:
            return Saved(inputs=True)
        return Saved(own=use.number * use.inputs[0].elements)  # a copy

    def number(self, sizes: Sequence[int], precision: Precision) -> int:
        return precision.product

    def plan(self, use: Use) -> dict[str, Any]:
        return {"channels": use.inputs[0].channels, "out": self.out, "bias": self.bias}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {"weight": self.init} | ({"bias": Symbol("zeros")} if self.bias else {})
