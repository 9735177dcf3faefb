from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attributes import Integer
from archdsl.layers.base import Layer, ShapeError, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("channels", category="sampling")
class Channels(Layer):
    """The `n` channels from `start` on, counted from 0, so that parts of the channels take ways of their own.

    `concat { channels(0, 8) -> conv(8, 3), channels(8, in.channels - 8) }` convolves the first 8.
    """

    takes_tokens = True

    start = Integer(minimum=0, doc="the first of the channels")
    n = Integer(doc="number of channels")

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if self.start + self.n > x.channels:
            first, last = int(self.start), int(self.start + self.n) - 1
            message = f"no channels {first} to {last} in a value of {int(x.channels)} channels, 0 to {x.channels - 1}"
            left = int(x.channels - self.start)
            hint = f"`channels({first}, {left})` takes all from {first} on" if left > 0 else ""
            raise ShapeError(message, "n" if left > 0 else "start", "E0501", hint)
        return x._replace(channels=self.n)
