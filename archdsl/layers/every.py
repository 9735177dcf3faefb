from __future__ import annotations

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Choice, Integer
from archdsl.layers.base import Layer, ShapeError, known_to_be, layer


@layer("every", category="sampling")
class Every(Layer):
    """Temporal subsampling: one of every `n` frames.

    `spread`: T // n frames from the first to the last, frame ⌊i (T - 1) / (T // n - 1)⌋ (the slow path of SlowFast's
    released code). `stride`: frames 0, n, 2n, … (time-strided sampling, SlowFast 3.3).
    """

    n = Integer(doc="subsampling factor")
    rule = Choice("spread", "stride", default="spread", doc="choice of frames: evenly spread, or strided")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        frames = x.t // self.n if self.rule == "spread" else (x.t - 1) // self.n + 1
        if frames < 1:
            message = f"one of every {int(self.n)} frames of {int(x.t)} leaves none"
            raise ShapeError(message, "n", "E0503", f"use a clip of at least {int(self.n)} frames")
        return Grid(x.channels, frames, x.h, x.w)

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.n, 1)
