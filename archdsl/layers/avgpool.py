from __future__ import annotations

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Size, Window
from archdsl.layers.base import (
    Layer,
    known_to_be,
    layer,
    slide,
)  # fmt: skip


@layer("avgpool", category="pool")
class AvgPool(Layer):
    """Average pooling without padding; by default global average pooling, whose output is a vector."""

    kernel = Window(0, doc="extent of the window over t, h and w; `all`: the whole axis")
    stride = Size(1, doc="step of the window over t, h and w")

    @property
    def whole(self) -> bool:
        """True for global average pooling."""
        return known_to_be(self.kernel, 0)

    def infer(self, *inputs: Grid) -> Grid:
        t, h, w = (k or 1 for k in self.kernel)
        moved = slide(inputs[0], (t, h, w), self.stride, (0, 0, 0))
        t, h, w = (m if k else 1 for m, k in zip(moved, self.kernel, strict=True))
        return Grid(inputs[0].channels, t, h, w)

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.kernel, 1) and known_to_be(self.stride, 1)

    @property
    def is_mean(self) -> bool:
        """True if it averages over whole axes only, without a sliding window."""
        return all(k in (0, 1) for k in self.kernel) and known_to_be(self.stride, 1)
