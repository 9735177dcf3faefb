from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import CLIP, FRAME, Grid, fixed
from archdsl.layers.attributes import Choice, Size
from archdsl.layers.base import Layer, ShapeError, known_to_be, layer
from archdsl.layers.padding import HALF, SAME, VALID, around, depends_on_grid, moved, padded

if TYPE_CHECKING:
    from archdsl.layers.attributes import Size3


@layer("maxpool", category="pool")
class MaxPool(Layer):
    """The largest value under a window.

    Padding, which never wins, is `half`: `kernel // 2` on both sides, and none of an even kernel; `same`: as much as
    leaves n / stride positions, rounded up, the odd one behind (TensorFlow); or `valid`: none.
    """

    takes_tokens = True

    kernel = Size(doc="extent of the window over t, h and w")
    stride = Size(1, doc="step of the window over t, h and w")
    padding = Choice(HALF, SAME, VALID, default=HALF, doc="how far the window reaches over the border")

    @property
    def reach(self) -> Size3:
        if self.padding != HALF:
            return around(self.padding, self.kernel)
        t, h, w = (k // 2 * (k % 2) for k in self.kernel)
        return t, h, w

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if x.token:
            self._check_token(x)
        t, h, w = moved(x, self.kernel, self.stride, self.padding, self.reach)
        return Grid(x.channels, t, h, w, x.token)

    def _check_token(self, x: Grid) -> None:
        """Beside the class token of a clip the grid alone is pooled, in a module that knows its size."""
        fixed(x)
        if x.token == FRAME or depends_on_grid(self.padding, self.kernel, self.stride):
            message = "max pooling goes past the class token of a clip, not past those of frames"
            if x.token == CLIP:
                message = "beside a class token no padding can depend on the grid"
            raise ShapeError(message, code="E0511", hint="`select(grid)` leaves the class tokens out")

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.kernel, 1) and known_to_be(self.stride, 1)

    def widest(self, *inputs: Grid) -> int:
        return padded(inputs[0], self.kernel, self.stride) if self.padding == SAME else 0
