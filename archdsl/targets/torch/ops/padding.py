"""Sliding windows: the code that pads a grid before a layer, and the element size of what a pooling computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.base import known_to_be
from archdsl.layers.padding import slides
from archdsl.targets.torch.ops.base import compact
from archdsl.targets.torch.ops.sites import FLOAT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.layers.attributes import Size3
    from archdsl.layers.avgpool import AvgPool
    from archdsl.layers.maxpool import MaxPool
    from archdsl.layers.padding import SlidingWindow
    from archdsl.targets.torch.ops.sites import Precision


def padding_variables(window: SlidingWindow) -> dict[str, Any]:
    """Return the variables of `padded.j2`, and `padding`, that of both sides, for the layer itself; None for none.

    `same` and `same_stride` are arguments of a function that pads by the size of the grid, `apart` those of `F.pad`.
    """
    fits = window.fits_grid
    kernel, stride = (_where(fits, sizes) for sizes in (window.extent, window.stride))
    apart = tuple(n for sides in reversed(window.apart) for n in sides)  # the last axis comes first
    return {
        "same": compact(kernel) if any(fits) else None,
        "same_stride": compact(stride),
        "apart": None if known_to_be(apart, 0) else apart,
        "padding": None if known_to_be(window.around, 0) else compact(window.around),
    }


def pooled_size(layer: AvgPool | MaxPool, sizes: Sequence[int], precision: Precision) -> int:
    """Return the element size of what a pooling computes, for inputs of element sizes `sizes`.

    A pooling that slides is on autocast's list of float32 for CPUs.
    """
    on_list = precision.half and not precision.cuda and slides(layer.kernel, layer.stride)
    return FLOAT if on_list else max(sizes)


def _where(fits: tuple[bool, bool, bool], sizes: Size3) -> Size3:
    t, h, w = (n if fit else 1 for fit, n in zip(fits, sizes, strict=True))
    return t, h, w
