from __future__ import annotations

from archdsl.core.grid import Grid, fixed
from archdsl.layers.attributes import Choice, Integer
from archdsl.layers.base import Layer, ShapeError, divisors, layer


@layer("swap", category="sampling")
class Swap(Layer):
    """Exchange of channels and frames, or of channels and positions, so that a linear layer maps those of a channel.

    C×T×H×W becomes T×C×H×W, as where TANet computes its temporal kernels (Liu et al. 2021, section 3). Over `space` the
    positions of a frame become channels, row by row, and the channels positions: C×T×H×W becomes H·W × T × 1 × C, and
    `swap(space, rows = H)` brings back what was C×T×H×W. Between the two, layers mix the positions of each channel, as
    token MLPs do (MLP-Mixer: Tolstikhin et al. 2021, section 2). The number of frames, or of positions, is fixed.
    """

    over = Choice("time", "space", default="time", doc="what changes places with the channels")
    rows = Integer(1, doc="over `space`: the rows of the frames that the channels become")

    @property
    def channels_are_frames(self) -> bool:
        return self.over == "time"

    @property
    def channels_are_positions(self) -> bool:
        return self.over == "space"

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        if self.over == "time":
            frames, _, _ = fixed(x._replace(h=1, w=1))
            return Grid(frames, x.channels, x.h, x.w)
        _, h, w = fixed(x._replace(t=1))
        if x.channels % self.rows:
            message = f"{int(x.channels)} channels are not the positions of {int(self.rows)} equal rows"
            raise ShapeError(message, "rows", "E0501", divisors("rows", x.channels))
        return Grid(h * w, x.t, self.rows, x.channels // self.rows)
