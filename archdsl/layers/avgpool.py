from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Choice, Size, Window
from archdsl.layers.base import Layer, known_to_be, layer, slide
from archdsl.layers.padding import HALF, VALID, half_of_odd

if TYPE_CHECKING:
    from archdsl.layers.attributes import Size3


@layer("avgpool", category="pool")
class AvgPool(Layer):
    """Average pooling; by default global average pooling, whose output is a vector.

    Padding with zeros, which count in the averages, is `valid`: none; or `half`: `kernel // 2` on both sides, and none
    for an even kernel or a whole axis.
    """

    pools_channels = True

    kernel = Window(0, doc="extent of the window over t, h and w; `all`: the whole axis")
    stride = Size(1, doc="step of the window over t, h and w")
    padding = Choice(VALID, HALF, default=VALID, doc="padding of the grid")

    @property
    def reach(self) -> Size3:
        return half_of_odd(self.kernel) if self.padding == HALF else (0, 0, 0)

    @property
    def whole(self) -> bool:
        """True for global average pooling."""
        return known_to_be(self.kernel, 0)

    def infer(self, *inputs: Grid) -> Grid:
        t, h, w = (k or 1 for k in self.kernel)
        slide(inputs[0], (t, h, w), self.stride, (0, 0, 0))  # zeros do not make a small grid large enough
        moved = slide(inputs[0], (t, h, w), self.stride, self.reach)
        t, h, w = (m if k else 1 for m, k in zip(moved, self.kernel, strict=True))
        return Grid(inputs[0].channels, t, h, w)

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.kernel, 1) and known_to_be(self.stride, 1)

    def doubt(self, *inputs: Grid) -> str:
        """An even kernel, which moves by one position and is not padded although padding is declared."""
        ends = zip(self.kernel, self.stride, strict=True)
        if self.padding == VALID or not any(k % 2 == 0 and k and s == 1 for k, s in ends):
            return ""
        return "an even kernel is not padded: use an odd one, or omit `padding`"

    @property
    def is_mean(self) -> bool:
        """True if it averages over whole axes only, without a sliding window."""
        return all(k in (0, 1) for k in self.kernel) and known_to_be(self.stride, 1)
