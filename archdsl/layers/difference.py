from __future__ import annotations

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Choice, Integer
from archdsl.layers.base import Layer, ShapeError, layer

ZERO, VALID = "zero", "valid"


@layer("difference", category="sampling")
class Difference(Layer):
    """Difference of frames: the frame `distance` later, minus this one (TEA: Li et al. 2020, section 3.1).

    The last `distance` frames have no later one: their difference is 0, as in TEA (`zero`), or they are left out
    (`valid`), so that T frames become T - distance.
    """

    distance = Integer(1, doc="distance in frames")
    ends = Choice(ZERO, VALID, default=ZERO, doc="the last frames: differences of 0, or none")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        frames = x.t - self.distance
        if frames < 1:
            message = f"no two of {int(x.t)} frames have a distance of {int(self.distance)}"
            hint = f"use a clip of at least {int(self.distance) + 1} frames here"
            raise ShapeError(message, "distance", "E0503", hint)
        return x if self.ends == ZERO else Grid(x.channels, frames, x.h, x.w)
