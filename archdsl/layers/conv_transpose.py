from __future__ import annotations

from math import prod

from archdsl.core.grid import Grid
from archdsl.core.values import Symbol
from archdsl.layers.attributes import BiasInitialiser, Flag, Integer, KernelInitialiser, Size, bias_start
from archdsl.layers.axes import IN, OUT, Axis, Extent
from archdsl.layers.base import Layer, ShapeError, check_groups, layer


@layer("conv_transpose", category="convolution")
class ConvTranspose(Layer):
    """Transposed convolution over t, h and w, which enlarges the grid by its stride.

    y[o, position · stride + k - padding] = bias[o] + Σ weight[i, o, k] · x[i, position]

    An axis of n positions becomes (n - 1) · stride - 2 · padding + kernel: a kernel and a stride of 2 double it.
    """

    heavy = True
    width = "out"

    out = Integer(doc="output channels")
    kernel = Size(2, doc="kernel size over t, h and w")
    stride = Size(2, doc="stride over t, h and w")
    padding = Size(0, minimum=0, doc="positions that are left out on both sides of the output")
    groups = Integer(1, doc="number of groups of channels")
    bias = Flag(False, doc="a learned bias for each output channel")
    init = KernelInitialiser(Symbol("msra"), doc="initialiser of the weight; `msra`: He et al. 2015, fan-out")
    bias_init = BiasInitialiser()

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        check_groups(self.groups, x.channels, self.out)
        sizes = list(zip(x.size, self.kernel, self.stride, self.padding, strict=True))
        t, h, w = (n * s + (k - s - 2 * p) for n, k, s, p in sizes)
        for axis, n in enumerate((t, h, w)):
            if n < 1:
                p = int(self.padding[axis])
                message = f"padding of {p} over {'thw'[axis]} leaves nothing of an output of {int(n) + 2 * p}"
                error = ShapeError(
                    message, "padding", "E0503", f"at most {(int(n) + 2 * p - 1) // 2} is possible there"
                )
                error.index = axis
                raise error
        return Grid(self.out, t, h, w)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        weight = (inputs[0].channels, self.out // self.groups, *self.kernel)
        return {"weight": weight} | ({"bias": (self.out,)} if self.bias else {})

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        patches = [k == s and k > 1 for k, s in zip(self.kernel, self.stride, strict=True)]
        extents = [Extent(a, p) for a, p in zip("thw", patches, strict=True)]
        return {"weight": (IN, OUT if self.groups == 1 else Axis(), *extents), "bias": (OUT,)}

    def macs(self, output: Grid, *inputs: Grid) -> int:
        return inputs[0].elements * (self.out // self.groups) * prod(self.kernel)

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        weight = Symbol("msra_transposed") if self.init.name == "msra" else self.init
        return {"weight": weight} | ({"bias": bias_start(self.init, self.bias_init)} if self.bias else {})
