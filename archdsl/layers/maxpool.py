from __future__ import annotations

from archdsl.core.grid import CLIP, FRAME, Grid, fixed
from archdsl.layers.attributes import Flag, Size, Window
from archdsl.layers.base import Layer, ShapeError, known_to_be, layer
from archdsl.layers.padding import HALF, SAME, Padding, SlidingWindow, even_kernel, pooled, pooling_window


@layer("maxpool", category="pool")
class MaxPool(Layer):
    """Max pooling.

    Padding, whose values are never the maximum, is `half`: `kernel // 2` on both sides, and none for an even kernel;
    `same`: for an output of ⌈n / stride⌉ positions, an odd number with the larger half at the end (TensorFlow);
    `causal`: `kernel - 1` before the first position; `valid`: none; or a number on both sides, at most half of the
    kernel. A list has one for each axis: `[causal, half, half]`, `[0, 1, 1]`.
    """

    takes_tokens = True
    pools_channels = True

    kernel = Window(doc="extent of the window over t, h and w; `all`: the whole axis")
    stride = Size(1, doc="step of the window over t, h and w")
    padding = Padding(HALF, doc="padding of the grid")
    ceil = Flag(False, doc="a last window that begins in the grid may end beyond the padding: the number is rounded up")

    @property
    def window(self) -> SlidingWindow:
        return pooling_window(self.kernel, self.stride, self.padding, ceil=self.ceil)

    @property
    def whole_axes(self) -> tuple[int, ...]:
        """The axes of which it takes the maximum as a whole: 0, 1 and 2 for t, h and w."""
        return tuple(axis for axis, k in enumerate(self.kernel) if known_to_be(k, 0))

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if x.token:
            self._check_token(x)
        t, h, w = pooled(x, self.window, self.kernel)
        return Grid(x.channels, t, h, w, x.tokens)

    def _check_token(self, x: Grid) -> None:
        """Check an input with class tokens: only the grid is pooled, in a module for one size of the grid."""
        fixed(x)
        if x.token == FRAME or not self.window.is_even:
            message = "max pooling does not support one class token per frame"
            if x.token == CLIP:
                message = "with a class token, padding cannot depend on the size of the grid"
                message = (
                    message if any(self.window.fits_grid) else "with a class token, padding is equal on both sides"
                )
            raise ShapeError(message, code="E0511", hint="`select(grid)` removes the class tokens")

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.kernel, 1) and known_to_be(self.stride, 1)

    def doubt(self, *inputs: Grid) -> str:
        """An even kernel that moves by one position: without padding, it shrinks the grid."""
        sizes = zip("thw", inputs[0].size, self.kernel, self.stride, self.window.paddings, strict=True)
        even = [axis for axis, n, k, s, p in sizes if k and k % 2 == 0 and s == 1 and k < n and p == HALF]
        if not even:
            return ""
        return even_kernel(f"shrinks {', '.join(even)}", self.changed(padding=SAME).infer(*inputs))

    def widest(self, *inputs: Grid) -> int:
        return 0 if self.window.is_even else self.window.padded(inputs[0])
