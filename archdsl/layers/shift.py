from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.attributes import Choice, Integer
from archdsl.layers.base import Layer, ShapeError, known_to_be, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid

ZERO, REPEAT = "zero", "repeat"


@layer("shift", category="sampling")
class Shift(Layer):
    """Temporal shift (Lin et al. 2019, section 3): some channels come from neighbouring frames.

    The first `next` channels are those of the frame `distance` later, the following `previous` channels those of the
    frame `distance` earlier; all others stay. Behind the last frame and before the first are zeros, or that frame again
    (`repeat`). TSM has `shift(in.channels // 8)` in front of the first convolution of a residual; `shift(0, n)` sees no
    later frames (section 4.2).
    """

    next = Integer(minimum=0, doc="channels that come from later frames")
    previous: Any = Integer(None, minimum=0, doc="channels that come from earlier frames; as many, if it is not given")
    distance = Integer(1, doc="distance in frames")
    ends = Choice(ZERO, REPEAT, default=ZERO, doc="what stands before the first frame and behind the last")

    @property
    def earlier(self) -> int:
        """The number of channels that come from earlier frames."""
        return self.next if self.previous is None else self.previous

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if self.next + self.earlier > x.channels:
            message = f"{int(self.next)} and {int(self.earlier)} of {int(x.channels)} channels cannot be shifted"
            hint = "the channels from later and from earlier frames are different ones; TSM: `shift(in.channels // 8)`"
            raise ShapeError(message, "next", "E0501", hint)
        if x.t - self.distance + 1 < 1:
            message = f"no frame of {int(x.t)} has another one at a distance of {int(self.distance)}"
            raise ShapeError(message, "distance", "E0503", f"use a clip of at least {int(self.distance)} frames here")
        return x

    def doubt(self, *inputs: Grid) -> str:
        """No channel that moves, mostly a share of few channels that is rounded down."""
        is_still = known_to_be(self.next, 0) and known_to_be(self.earlier, 0)
        return "it moves no channels: `shift(1)` moves one each way" if is_still else ""

    def is_identity(self, *inputs: Grid) -> bool:
        return known_to_be(self.next, 0) and known_to_be(self.earlier, 0)
