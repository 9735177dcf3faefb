from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import CLIP, FRAME, Grid, fixed
from archdsl.layers.attributes import Choice, Size
from archdsl.layers.base import Layer, ShapeError, known_to_be, layer
from archdsl.layers.padding import HALF, SAME, VALID, around, depends_on_grid, even_kernel, half_of_odd, moved, padded

if TYPE_CHECKING:
    from archdsl.layers.attributes import Size3


@layer("maxpool", category="pool")
class MaxPool(Layer):
    """Max pooling.

    Padding, whose values are never the maximum, is `half`: `kernel // 2` on both sides, and none for an even kernel;
    `same`: for an output of ⌈n / stride⌉ positions, an odd number with the larger half at the end (TensorFlow); or
    `valid`: none.
    """

    takes_tokens = True
    pools_channels = True

    kernel = Size(doc="extent of the window over t, h and w")
    stride = Size(1, doc="step of the window over t, h and w")
    padding = Choice(HALF, SAME, VALID, default=HALF, doc="padding of the grid")

    @property
    def reach(self) -> Size3:
        if self.padding != HALF:
            return around(self.padding, self.kernel)
        return half_of_odd(self.kernel)

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if x.token:
            self._check_token(x)
        t, h, w = moved(x, self.kernel, self.stride, self.padding, self.reach)
        return Grid(x.channels, t, h, w, x.tokens)

    def _check_token(self, x: Grid) -> None:
        """Check an input with class tokens: only the grid is pooled, in a module for one size of the grid."""
        fixed(x)
        if x.token == FRAME or depends_on_grid(self.padding, self.kernel, self.stride):
            message = "max pooling does not support one class token per frame"
            if x.token == CLIP:
                message = "with a class token, padding cannot depend on the size of the grid"
            raise ShapeError(message, code="E0511", hint="`select(grid)` removes the class tokens")

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.kernel, 1) and known_to_be(self.stride, 1)

    def doubt(self, *inputs: Grid) -> str:
        """An even kernel that moves by one position: without padding, it shrinks the grid."""
        sizes = zip("thw", inputs[0].size, self.kernel, self.stride, strict=True)
        even = [axis for axis, n, k, s in sizes if k % 2 == 0 and s == 1 and k < n]
        if self.padding != HALF or not even:
            return ""
        return even_kernel(f"shrinks {', '.join(even)}", self.changed(padding=SAME).infer(*inputs))

    def widest(self, *inputs: Grid) -> int:
        return padded(inputs[0], self.kernel, self.stride) if self.padding == SAME else 0
