from __future__ import annotations

from math import prod
from typing import ClassVar

from archdsl.core.grid import Grid
from archdsl.core.values import Symbol
from archdsl.layers.attributes import BiasInitialiser, Flag, Integer, KernelInitialiser, Size, bias_start
from archdsl.layers.axes import IN, OUT, Axis, Extent
from archdsl.layers.base import Layer, check_groups, known_to_be, layer
from archdsl.layers.padding import HALF, SAME, VALID, Padding, SlidingWindow, even_kernel


@layer("conv", category="convolution")
class Conv(Layer):
    """Convolution over t, h and w.

    y[o] = bias[o] + Σ weight[o, i, k] · x[i, position · stride + k · dilation - padding]

    Padding with zeros is `half`: `dilation * (kernel // 2)` on both sides, which preserves the grid for stride 1 and
    odd kernels; `same`: for an output of ⌈n / stride⌉ positions, an odd number with the larger half at the end
    (TensorFlow); `causal`: `dilation * (kernel - 1)` before the first position, so that no position sees later ones;
    `valid`: none; or a number on both sides. A list has one for each axis: `[causal, half, half]`, `[1, 0, 0]`.
    """

    heavy = True
    width = "out"

    out = Integer(doc="output channels")
    kernel = Size(1, doc="kernel size over t, h and w")
    stride = Size(1, doc="stride over t, h and w")
    padding = Padding(HALF, doc="zero padding of the grid")
    groups = Integer(1, doc="number of groups of channels (grouped convolution)")
    bias = Flag(False, doc="a learned bias for each output channel")
    init = KernelInitialiser(Symbol("msra"), doc="initialiser of the weight; `msra`: He et al. 2015, fan-out")
    dilation = Size(1, doc="distance between neighbours under the kernel, over t, h and w")
    bias_init = BiasInitialiser()

    @property
    def window(self) -> SlidingWindow:
        return SlidingWindow(self.kernel, self.stride, self.padding, self.dilation)

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        check_groups(self.groups, x.channels, self.out)
        return Grid(self.out, *self.window.moved(x))

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        weight = (self.out, inputs[0].channels // self.groups, *self.kernel)
        return {"weight": weight} | ({"bias": (self.out,)} if self.bias else {})

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        sizes = zip(self.kernel, self.stride, self.dilation, strict=True)
        patches = [k == s and k > 1 and d == 1 for k, s, d in sizes]
        extents = [Extent(a, p) for a, p in zip("thw", patches, strict=True)]
        return {"weight": (OUT, IN if self.groups == 1 else Axis(), *extents), "bias": (OUT,)}

    def macs(self, output: Grid, *inputs: Grid) -> int:
        return output.elements * (inputs[0].channels // self.groups) * prod(self.kernel)

    def widest(self, *inputs: Grid) -> int:
        return 0 if self.window.is_even else self.window.padded(inputs[0])

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {"weight": self.init} | ({"bias": bias_start(self.init, self.bias_init)} if self.bias else {})

    def doubt(self, *inputs: Grid) -> str:
        """An even kernel with `half` padding: one position more than the stride asks for, patches with parts of two."""
        sizes = list(zip("thw", inputs[0].size, self.kernel, self.stride, self.window.paddings, strict=True))
        even = [axis for axis, n, k, s, p in sizes if k % 2 == 0 and n % s == 0 and p == HALF]
        if not even:
            return ""
        fits = all(n >= k for n, k in zip(inputs[0].size, self.window.extent, strict=True))
        if fits and any(k == s for _, _, k, s, _ in sizes if k % 2 == 0):
            wanted = self.changed(padding=VALID).infer(*inputs)
            return f"for patches without overlap add `padding = valid`, which gives {wanted}"
        more = "a position" if known_to_be(self.dilation, 1) else "positions"
        return even_kernel(f"adds {more} along {', '.join(even)}", self.changed(padding=SAME).infer(*inputs))

    def with_affine(self) -> Conv:
        return self.changed(bias=True)

    def maps_positions(self) -> bool:
        return tuple(self.kernel) == (1, 1, 1) and known_to_be(self.window.around, 0)

    def parts_branches(self) -> bool:
        return self.groups == 1

    def filters_channels(self, *inputs: Grid) -> bool:
        return self.groups == inputs[0].channels == self.out

    def shared_by_heads(self, heads: int, parts: int) -> Layer | None:
        if not self.window.is_even:
            return None
        return HeadConv(**self.values(), heads=heads, parts=parts)


class HeadConv(Conv):
    """Convolution with one filter for each channel of a head, which the heads share.

    It is applied to several values at once, whose filters are parts of one tensor. Tokens stay as they are.
    """

    written_as: ClassVar[str] = "head_conv"
    takes_tokens = True
    heads: int
    parts: int

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        t, h, w = self.window.moved(x)
        return Grid(x.channels, t, h, w, x.tokens)

    @property
    def keeps_frames(self) -> bool:
        """True if the number of frames is preserved, with windows of neighbours that are centred on their frame."""
        centred = 2 * self.window.around[0] + 1 == self.kernel[0]
        return self.stride[0] == 1 and known_to_be(self.dilation, 1) and centred
