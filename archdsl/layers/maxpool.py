from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import CLIP, FRAME, Grid, fixed
from archdsl.layers.attributes import Choice, Size
from archdsl.layers.base import FLOAT, GRID, TOKENS, Layer, Saved, ShapeError, Use, compact, known_to_be, layer
from archdsl.layers.padding import HALF, SAME, VALID, around, depends_on_grid, moved, padded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.layers.attributes import Size3
    from archdsl.layers.base import Precision


@layer("maxpool", category="pool")
class MaxPool(Layer):
    """The largest value under a window.

    Padding, which never wins, is `half`: `kernel // 2` on both sides, and none of an even kernel; `same`: as much as
    leaves n / stride positions, rounded up, the odd one behind (TensorFlow); or `valid`: none.
    """

    imports = ("from torch.nn import functional as F",)
    layouts = (GRID, TOKENS)

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

    def place(self, *inputs: Grid) -> dict[str, Any]:
        return {"grid": fixed(inputs[0])} if inputs[0].token else {}

    def is_module(self, *inputs: Grid) -> bool:
        return bool(inputs[0].token)

    def form(self, *inputs: Grid) -> tuple[Any, ...]:
        return ("beside a token",) if inputs[0].token else super().form(*inputs)

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.kernel, 1) and known_to_be(self.stride, 1)

    def widest(self, *inputs: Grid) -> int:
        return padded(inputs[0], self.kernel, self.stride) if self.padding == SAME else 0

    def saved(self, use: Use) -> Saved:
        x, y = use.inputs[0], use.output
        indices = 2 * FLOAT * y.channels * y.positions
        if not depends_on_grid(self.padding, self.kernel, self.stride):
            return Saved(own=use.number * x.elements + indices) if use.cast else Saved(inputs=True, own=indices)
        return Saved(own=use.number * padded(x, self.kernel, self.stride) + indices)

    def number(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT if precision.half and not precision.cuda else max(sizes)  # on autocast's list for CPUs

    def plan(self, use: Use) -> dict[str, Any]:
        pad = depends_on_grid(self.padding, self.kernel, self.stride)
        return {
            "kernel": compact(self.kernel),
            "stride": compact(self.stride),
            "padding": None if pad or known_to_be(self.reach, 0) else compact(self.reach),
            "pad": pad,
            "beside": bool(use.examples[0].token),
            "kernels": self.kernel,
            "strides": self.stride,
            "reaches": self.reach,
        }
