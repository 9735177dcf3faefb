"""The graph inside of a layer, for diagrams that open it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.layers.base import Layer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from archdsl.core.grid import Grid

OUTER = -1  # the first value that enters the layer; the next one is -2


@dataclass(frozen=True)
class Cell:
    """A step inside of a layer: another layer, or a formula. `name` is unique in its interior."""

    name: str
    content: Layer | str
    category: str
    params: int = 0
    macs: int = 0
    aside: tuple[str, Layer] | None = None  # an input by name, and a layer that it goes through
    shares: str = ""  # the name of a step before it whose weights it has
    frozen: bool = False  # it has weights that are not trained, whatever is around the layer


@dataclass
class Part:
    """Steps that follow each other, or the name of a value, which has no cells.

    `inputs` are numbers of parts or, from `OUTER` downwards, of the values that enter the layer.
    """

    title: str
    cells: list[Cell]
    inputs: tuple[int, ...]
    entering: tuple[Grid, ...]
    shape: Grid

    @property
    def name(self) -> str:
        """Its name in the interior, unless a step is called the same."""
        return self.cells[0].name if self.cells else self.title


@dataclass(frozen=True)
class Interior:
    """Parts in the order of data flow, of which the last one gives the output; `title` has the layer's own settings."""

    title: Layer
    parts: Sequence[Part]


class Openable(Layer):
    """A layer made of layers, which diagrams of layers show with the graph inside of it."""

    def interior(self, *inputs: Grid) -> Interior | None:
        """Return the graph inside of it; None if its name and settings say as much."""
        return None

    def frozen_weights(self) -> Collection[str]:
        """Return the names of the weights that it does not train itself, whatever is around it."""
        return ()

    def frozen_members(self) -> Collection[str]:
        """Return what has these weights: members of its module, as far outside as nothing in them is trained."""
        return ()

    def weighted_macs(self, *, frozen: bool) -> int:
        """Return the multiply-adds that are products with its weights: all, or those with frozen ones."""
        return 0

    def connections(self) -> tuple[object, ...]:
        """Return how the steps inside of it are connected, as far as its attributes leave that open."""
        return ()
