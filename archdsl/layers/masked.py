"""Layers that read a mask of positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from archdsl.layers.attributes import Reference
from archdsl.layers.base import Layer
from archdsl.layers.input import MASK

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


class Masked(Layer):
    """A layer that reads a mask, which must leave a certain number of positions visible."""

    mask = Reference(MASK, doc="the input that is the mask")

    takes_places: ClassVar[bool] = False  # its output is positions in a row, without places on the grid

    def visible(self, *inputs: Grid) -> int:
        """Return the number of positions that the mask leaves visible."""
        raise NotImplementedError
