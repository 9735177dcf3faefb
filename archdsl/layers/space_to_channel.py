from __future__ import annotations

from archdsl.core.grid import Grid, fixed
from archdsl.layers.attributes import Integer
from archdsl.layers.base import Layer, known_to_be, layer


@layer("space_to_channel", category="sampling")
class SpaceToChannel(Layer):
    """Concatenation of the channels of `n` × `n` neighbouring positions of a frame, column by column.

    C channels of H×W become n²·C of ⌈H / n⌉ × ⌈W / n⌉, with zero padding at the end (the patch merging of Swin, Liu et
    al. 2021).
    """

    n = Integer(2, doc="factor by which height and width shrink")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        fixed(x)
        h, w = ((size + self.n - 1) // self.n for size in (x.h, x.w))
        return Grid(self.n * self.n * x.channels, x.t, h, w)

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.n, 1)

    def _behind(self, x: Grid) -> tuple[int, int]:
        """Return the columns and rows of padding."""
        return -int(x.w) % int(self.n), -int(x.h) % int(self.n)
