from __future__ import annotations

from dataclasses import replace

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Flag, Size, Window
from archdsl.layers.base import Layer, known_to_be, layer, slide
from archdsl.layers.padding import CAUSAL, HALF, SAME, VALID, Padding, SlidingWindow, pooled, pooling_window


@layer("avgpool", category="pool")
class AvgPool(Layer):
    """Average pooling; by default global average pooling, whose output is a vector.

    Padding with zeros is `valid`: none; `half`: `kernel // 2` on both sides, and none for an even kernel or a whole
    axis; `same`: for an output of ⌈n / stride⌉ positions, an odd number with the larger half at the end (TensorFlow);
    `causal`: `kernel - 1` before the first position; or a number on both sides, at most half of the kernel. A list has
    one for each axis: `[0, 1, 1]`. The zeros count in the averages, unless `count_padding = off`; beside `same` they
    never do. With `ceil`, what a window covers beyond the padding never counts.
    """

    pools_channels = True

    kernel = Window(0, doc="extent of the window over t, h and w; `all`: the whole axis")
    stride = Size(1, doc="step of the window over t, h and w")
    padding = Padding(VALID, doc="padding of the grid")
    ceil = Flag(False, doc="a last window that begins in the grid may end beyond the padding: the number is rounded up")
    count_padding = Flag(True, doc="padding counts in the averages, as zeros")

    @property
    def window(self) -> SlidingWindow:
        window = pooling_window(self.kernel, self.stride, self.padding, ceil=self.ceil)
        return replace(window, always_fits=True)  # a grid smaller than the window, too

    @property
    def counts_padding(self) -> bool:
        """True if the zeros of padding count in the averages."""
        return self.count_padding and SAME not in self.window.paddings

    @property
    def whole(self) -> bool:
        """True for global average pooling."""
        return known_to_be(self.kernel, 0)

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        window = self.window
        sizes = zip(window.kernel, window.paddings, strict=True)
        t, h, w = (1 if p in (SAME, CAUSAL) else k for k, p in sizes)
        slide(x, (t, h, w), self.stride, (0, 0, 0))  # padding of both sides does not make a small grid large enough
        return Grid(x.channels, *pooled(x, window, self.kernel))

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.kernel, 1) and known_to_be(self.stride, 1)

    def doubt(self, *inputs: Grid) -> str:
        """An even kernel, which moves by one position and is not padded although padding is declared."""
        ends = zip(self.kernel, self.stride, self.window.paddings, strict=True)
        if not any(k % 2 == 0 and k and s == 1 and p == HALF for k, s, p in ends):
            return ""
        return "an even kernel is not padded: use an odd one, or omit `padding`"
