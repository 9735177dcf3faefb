from __future__ import annotations

from typing import Any

from archdsl.core.grid import Grid, fixed
from archdsl.layers.attributes import Integer
from archdsl.layers.base import CHANNELS_LAST, Layer, Saved, Use, known_to_be, layer


@layer("space_to_channel", category="sampling")
class SpaceToChannel(Layer):
    """Packs `n` × `n` neighbouring positions of a frame into the channels of one, column by column.

    C channels of H×W become n²·C of ⌈H / n⌉ × ⌈W / n⌉; what is missing behind the grid is 0 (the patch merging of Swin,
    Liu et al. 2021).
    """

    imports = ("from einops import rearrange", "from torch.nn import functional as F")
    layouts = (CHANNELS_LAST,)

    n = Integer(2, doc="rows, and columns, that become one")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        fixed(x)
        h, w = ((size + self.n - 1) // self.n for size in (x.h, x.w))
        return Grid(self.n * self.n * x.channels, x.t, h, w)

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.n, 1)

    def form(self, *inputs: Grid) -> tuple[Any, ...]:
        return int(self.n), *self._behind(inputs[0])

    def _behind(self, x: Grid) -> tuple[int, int]:
        """Columns and rows that are missing."""
        return -int(x.w) % int(self.n), -int(x.h) % int(self.n)

    def saved(self, use: Use) -> Saved:
        return Saved()

    def plan(self, use: Use) -> dict[str, Any]:
        columns, rows = self._behind(use.examples[0])
        return {"n": int(self.n), "pad": (0, 0, 0, columns, 0, rows) if columns or rows else None}
