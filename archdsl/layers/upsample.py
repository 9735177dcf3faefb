from __future__ import annotations

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Choice, Size
from archdsl.layers.base import Layer, known_to_be, layer

NEAREST, LINEAR = "nearest", "linear"


@layer("upsample", category="sampling")
class Upsample(Layer):
    """Upsampling of a grid over t, h and w.

    `nearest`: each position is repeated. `linear`: values between the centres of positions are interpolated linearly
    along each axis, and positions beyond the outermost centres have their values (trilinear, without aligned corners).
    """

    exclusive = "factor", "size"

    factor = Size(2, doc="factor by which t, h and w become larger; 1 leaves an axis as it is")
    mode = Choice(NEAREST, LINEAR, default=NEAREST, doc="repetition or linear interpolation")
    size = Size((0, 0, 0), doc="the size of the output, in place of a factor")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        t, h, w = self.size if self.has_size else (n * f for n, f in zip(x.size, self.factor, strict=True))
        return Grid(x.channels, t, h, w)

    @property
    def has_size(self) -> bool:
        """True if the size of the output is declared."""
        return not known_to_be(self.size, 0)

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.factor, 1) and not self.has_size
