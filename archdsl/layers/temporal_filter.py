from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import fixed, grid_text
from archdsl.layers.base import Layer, ShapeError, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("temporal_filter", category="convolution")
class TemporalFilter(Layer):
    """A filter over time with computed kernels (TANet: Liu et al. 2021, section 3): the second value filters the first.

    The second value is a grid C×k×1×1, with a kernel of k taps for each channel and clip; k is odd, and the frames are
    padded with zeros. In `temporal_filter { in, … }` the branches behind `in` compute the kernels. Like other products
    of values, it does not count among multiply-adds.
    """

    many = True

    def infer(self, *inputs: Grid) -> Grid:
        if len(inputs) != 2:
            values = f"{len(inputs)} value" + ("s" if len(inputs) > 1 else "")
            message = f"`temporal_filter` takes a value and its kernels, found {values}"
            raise ShapeError(message, code="E0405", hint="`temporal_filter { in, … }`")
        x, kernel = inputs
        if kernel.channels != x.channels:
            message = f"kernels of {int(kernel.channels)} channels cannot filter {int(x.channels)} channels"
            hint = f"`conv({int(x.channels)}, 1)` makes one for each channel"
            raise ShapeError(message, code="E0501", hint=hint)
        taps, h, w = fixed(kernel)
        if h != 1 or w != 1:
            message = f"the kernels are a grid of {grid_text((taps, h, w))}, and not k×1×1"
            raise ShapeError(message, code="E0502", hint="`avgpool([1, all, all])` leaves one position of each frame")
        if taps % 2 != 1:
            message = f"kernels of {taps} taps have no middle"
            raise ShapeError(message, code="E0502", hint="an odd number of taps is centred on a frame")
        return x
