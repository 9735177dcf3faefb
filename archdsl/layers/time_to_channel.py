from __future__ import annotations

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Integer
from archdsl.layers.base import Layer, ShapeError, divisors, known_to_be, layer


@layer("time_to_channel", category="sampling")
class TimeToChannel(Layer):
    """Concatenation of the channels of `n` neighbouring frames: C×T becomes n·C × T / n (SlowFast 3.3)."""

    n = Integer(doc="factor by which the number of frames shrinks")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if x.t % self.n:
            message = f"{int(x.t)} frames cannot be packed into groups of {int(self.n)}"
            raise ShapeError(message, "n", "E0505", divisors("numbers", x.t))
        return Grid(self.n * x.channels, x.t // self.n, x.h, x.w)

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.n, 1)
