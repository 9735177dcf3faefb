from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Choice, Size
from archdsl.layers.base import GRID, Layer, Use, compact, known_to_be, layer
from archdsl.layers.padding import HALF, SAME, VALID, around, depends_on_grid, moved

if TYPE_CHECKING:
    from archdsl.layers.attributes import Size3


@layer("maxpool", category="pool")
class MaxPool(Layer):
    """The largest value under a window.

    Padding, which never wins, is `half`: `kernel // 2` on both sides, and none of an even kernel; `same`: as much as
    leaves n / stride positions, rounded up, the odd one behind (TensorFlow); or `valid`: none.
    """

    imports = ("from torch.nn import functional as F",)
    layouts = (GRID,)

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
        return Grid(inputs[0].channels, *moved(inputs[0], self.kernel, self.stride, self.padding, self.reach))

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.kernel, 1) and known_to_be(self.stride, 1)

    def plan(self, use: Use) -> dict[str, Any]:
        pad = depends_on_grid(self.padding, self.kernel, self.stride)
        return {
            "kernel": compact(self.kernel),
            "stride": compact(self.stride),
            "padding": None if pad or known_to_be(self.reach, 0) else compact(self.reach),
            "pad": pad,
        }
