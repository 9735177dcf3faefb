from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Flag, Initialiser, Integer, Size
from archdsl.layers.base import GRID, Layer, ShapeError, Use, compact, divisors, known_to_be, layer, slide

if TYPE_CHECKING:
    from archdsl.layers.attributes import Size3


@layer("conv", category="convolution")
class Conv(Layer):
    """A convolution over t, h and w, padded by `kernel // 2` so that stride 1 and an odd kernel keep the grid.

    y[o] = bias[o] + Σ weight[o, i, k] · x[i, position · stride + k - kernel // 2]
    """

    module, heavy, torch_class = True, True, "nn.Conv3d"
    layouts = (GRID,)

    out = Integer(doc="output channels")
    kernel = Size(1, doc="its extent over t, h and w")
    stride = Size(1, doc="its step over t, h and w")
    groups = Integer(1, doc="parts of the channels that do not see each other")
    bias = Flag(False, doc="whether a number is added to each output channel")
    init = Initialiser(Symbol("msra"), doc="He et al. 2015, fan-out, unless said otherwise")

    @property
    def padding(self) -> Size3:
        t, h, w = self.kernel
        return t // 2, h // 2, w // 2

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        for what, channels in (("input", x.channels), ("output", self.out)):
            if channels % self.groups:
                message = f"{int(channels)} {what} channels cannot be split into {int(self.groups)} groups"
                raise ShapeError(message, "groups", "E0504", divisors("groups", x.channels, self.out))
        return Grid(self.out, *slide(x, self.kernel, self.stride, self.padding))

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        weight = (self.out, inputs[0].channels // self.groups, *self.kernel)
        return {"weight": weight} | ({"bias": (self.out,)} if self.bias else {})

    def macs(self, output: Grid, *inputs: Grid) -> int:
        return output.elements * (inputs[0].channels // self.groups) * prod(self.kernel)

    def plan(self, use: Use) -> dict[str, Any]:
        return {
            "channels": use.inputs[0].channels,
            "out": self.out,
            "kernel": compact(self.kernel),
            "stride": None if known_to_be(self.stride, 1) else compact(self.stride),
            "padding": None if known_to_be(self.padding, 0) else compact(self.padding),
            "groups": None if known_to_be(self.groups, 1) else self.groups,
            "bias": self.bias,
        }

    def inits(self) -> dict[str, Symbol]:
        return {"weight": self.init} | ({"bias": Symbol("zeros")} if self.bias else {})
