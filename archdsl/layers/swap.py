from __future__ import annotations

from archdsl.core.grid import Grid, fixed
from archdsl.layers.base import Layer, layer


@layer("swap", category="sampling")
class Swap(Layer):
    """Exchange of channels and frames: C×T×H×W becomes T×C×H×W, so that a linear layer maps the frames of a channel.

    TANet computes its temporal kernels in this way (Liu et al. 2021, section 3). The number of frames is fixed.
    """

    channels_are_frames = True

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        frames, _, _ = fixed(x._replace(h=1, w=1))
        return Grid(frames, x.channels, x.h, x.w)
