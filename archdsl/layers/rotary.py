from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import fixed
from archdsl.layers.attributes import Choice, Real
from archdsl.layers.base import Layer, ShapeError, known_to_be, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid

AXES = {"space_time": "thw", "space": "hw", "time": "t"}
PAIRED, TILED = "paired", "tiled"


@layer("rotary", category="position")
class Rotary(Layer):
    """Rotary positions (Su et al. 2021): pairs of channels are rotated in proportion to the position on an axis.

    The n axes of `over` have equal parts of the C channels, in the order t, h, w: d = 2 · (C // n // 2) each. Other
    channels and tokens are unchanged. The pair of channels 2i and 2i + 1 of a part is rotated by the position
    times base^(-2i / d). `tiled` is the order in the published code of V-JEPA 2: a channel c is rotated with its
    neighbour, but by the angle of i = c mod d/2, so that the two have different angles.
    """

    takes_tokens = True
    of_one_head = True

    base = Real(10_000.0, low=1.0, high=1e9, doc="base of the frequencies")
    over = Choice(*AXES, default="space_time", doc="the axes whose positions count")
    frequencies = Choice(PAIRED, TILED, default=PAIRED, doc="order of the frequencies along the channels")

    @property
    def axes(self) -> str:
        return AXES[self.over]

    def part(self, x: Grid) -> int:
        """Return the number of channels that are rotated by the positions on each axis."""
        return x.channels // len(self.axes) // 2 * 2

    def reads_places(self) -> bool:
        return True

    def infer(self, *inputs: Grid) -> Grid:
        x = inputs[0]
        if x.token:
            fixed(x)
        if x.channels < 2 * len(self.axes):
            message = f"{int(x.channels)} channels are too few for pairs over {', '.join(self.axes)}"
            raise ShapeError(message, "over", "E0508", f"at least {2 * len(self.axes)} channels: a pair for each axis")
        return x

    def is_identity(self, *inputs: Grid) -> bool:
        sizes = dict(zip("thw", inputs[0].size, strict=True))
        return known_to_be(tuple(sizes[axis] for axis in self.axes), 1)
