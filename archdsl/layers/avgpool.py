from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Size, Window
from archdsl.layers.base import (
    CHANNELS_LAST,
    FLOAT,
    GRID,
    VECTOR,
    Layer,
    Saved,
    Use,
    compact,
    known_to_be,
    layer,
    slide,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.layers.base import Precision


@layer("avgpool", category="pool")
class AvgPool(Layer):
    """The mean under a window without padding; by default over all positions, so that a grid becomes a vector."""

    imports = ("from torch.nn import functional as F",)
    layouts = (GRID,)

    kernel = Window(0, doc="extent of the window over t, h and w; `all`: the whole axis")
    stride = Size(1, doc="step of the window over t, h and w")

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if self.whole:
            self.layouts = (GRID, CHANNELS_LAST)

    @property
    def whole(self) -> bool:
        return known_to_be(self.kernel, 0)

    def infer(self, *inputs: Grid) -> Grid:
        t, h, w = (k or 1 for k in self.kernel)
        moved = slide(inputs[0], (t, h, w), self.stride, (0, 0, 0))
        t, h, w = (m if k else 1 for m, k in zip(moved, self.kernel, strict=True))
        return Grid(inputs[0].channels, t, h, w)

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.kernel, 1) and known_to_be(self.stride, 1)

    def output_layout(self, layout: str, *inputs: Grid) -> str:
        return VECTOR if self.whole else layout

    def saved(self, use: Use) -> Saved:
        if self._is_mean:
            return Saved()
        if 0 not in self.kernel:
            return Saved(own=use.number * use.inputs[0].elements) if use.cast else Saved(inputs=True)
        t, h, w = (n if k else 1 for n, k in zip(use.inputs[0].size, self.kernel, strict=True))
        return Saved(own=use.number * use.inputs[0].channels * t * h * w)  # the mean, which is pooled then

    def number(self, sizes: Sequence[int], precision: Precision) -> int:
        on_list = precision.half and not precision.cuda and not self._is_mean  # autocast's for CPUs
        return FLOAT if on_list else max(sizes)

    @property
    def _is_mean(self) -> bool:
        return all(k in (0, 1) for k in self.kernel) and known_to_be(self.stride, 1)

    def plan(self, use: Use) -> dict[str, Any]:
        t, h, w = (k or 1 for k in self.kernel)
        axes = tuple(axis for axis, k in enumerate(self.kernel, start=2) if known_to_be(k, 0))
        return {
            "axes": None if not axes else axes[0] if len(axes) == 1 else axes,
            "whole": ((1, 2, 3) if use.layout == CHANNELS_LAST else (2, 3, 4)) if self.whole else None,
            "kernel": None if known_to_be((t, h, w), 1) and known_to_be(self.stride, 1) else compact((t, h, w)),
            "stride": compact(self.stride),
        }
