from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attributes import Flag, Integer, Reference
from archdsl.layers.base import Layer, ShapeError, layer
from archdsl.layers.input import BOXES

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("roi_align", category="sampling")
class RoIAlign(Layer):
    """Features of each box of an input `boxes[N]`, on a grid of `size` × `size` bins (He et al. 2017, section 3).

    A grid of one frame becomes a grid of N × `size` × `size`: the time axis counts boxes. A bin is the average of
    values at points in it, bilinear between positions; a point further than one position outside of the grid counts
    as 0. `sampling_ratio` is the number of points of a bin along each axis; 0 means ⌈extent of the bin⌉ for each box.
    Coordinates are multiplied by 1 / `stride`; without `stride`, by the size of the grid over that of the clip. Boxes
    get no gradient.
    """

    boxes = Reference(BOXES, doc="the input with the boxes")
    size = Integer(7, minimum=1, doc="bins of a box along each axis")
    sampling_ratio = Integer(0, minimum=0, doc="points of a bin along each axis; 0: ⌈extent of the bin⌉ for each box")
    aligned = Flag(True, doc="pixels have their centre at one half, so that boxes move by half a position")
    stride = Integer(0, minimum=0, doc="pixels of the clip for a position of the grid; 0: the ratio of the two sizes")

    @property
    def reads_clip(self) -> bool:
        """True if it needs the size of the clip."""
        return not self.stride

    def infer(self, *inputs: Grid) -> Grid:
        x = inputs[0]
        if x.t != 1:
            hint = "pool the frames before, as in `avgpool([all, 1, 1]) -> roi_align(…)`"
            raise ShapeError(f"boxes are those of one frame, found {int(x.t)} frames", "boxes", "E0502", hint)
        boxes = inputs[1] if len(inputs) > 1 else x
        return x._replace(t=boxes.t, h=self.size, w=self.size)
