from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Size
from archdsl.layers.base import GRID, Layer, Use, compact, known_to_be, layer, slide

if TYPE_CHECKING:
    from archdsl.layers.attributes import Size3


@layer("maxpool", category="pool")
class MaxPool(Layer):
    """The largest value under a window, padded by `kernel // 2`; an even kernel is not padded."""

    imports = ("from torch.nn import functional as F",)
    layouts = (GRID,)

    kernel = Size(doc="extent of the window over t, h and w")
    stride = Size(1, doc="step of the window over t, h and w")

    @property
    def padding(self) -> Size3:
        t, h, w = (k // 2 * (k % 2) for k in self.kernel)
        return t, h, w

    def infer(self, *inputs: Grid) -> Grid:
        return Grid(inputs[0].channels, *slide(inputs[0], self.kernel, self.stride, self.padding))

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.kernel, 1) and known_to_be(self.stride, 1)

    def plan(self, use: Use) -> dict[str, Any]:
        return {
            "kernel": compact(self.kernel),
            "stride": compact(self.stride),
            "padding": None if known_to_be(self.padding, 0) else compact(self.padding),
        }
