from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archdsl.layers.base import Layer, layer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.core.grid import Grid

VIDEO, INDEX, VECTOR, SPECTROGRAM, BOXES = "input", "index", "vector input", "spectrogram input", "boxes input"
MASK = "mask input"


class ArgumentAxis(NamedTuple):
    """An axis of an argument of a module: the axis of the grid that it is, and what it counts."""

    axis: str
    noun: str = ""  # empty for a size that all calls share


# By the letter that argument_axes and messages have for it.
ARGUMENT_AXES = {
    "C": ArgumentAxis("channels"),
    "4": ArgumentAxis("channels"),
    "T": ArgumentAxis("t", "frames"),
    "H": ArgumentAxis("h", "rows"),
    "W": ArgumentAxis("w", "columns"),
    "F": ArgumentAxis("w", "bins"),
    "N": ArgumentAxis("t", "boxes"),
}


def sizes_by_axis(grid: Grid, letters: Iterable[str]) -> tuple[int, ...]:
    """Return the sizes of a grid along axes that are given by letters."""
    return tuple(int(getattr(grid, ARGUMENT_AXES[letter].axis)) for letter in letters)


@layer(VIDEO, category="input")
class Input(Layer):
    """A clip, as an argument of the module."""

    internal = True
    argument_axes = ("C", "T", "H", "W")


@layer(INDEX, category="input")
class Index(Layer):
    """The indices of the clip's frames in a longer video, as an optional argument of the module."""

    internal = True
    by_name = True
    argument_axes = ("T",)


@layer(VECTOR, category="input")
class VectorInput(Layer):
    """A vector for each clip, such as a text's embedding or numbers of a sensor."""

    internal = True
    argument_axes = ("C",)


@layer(SPECTROGRAM, category="input")
class SpectrogramInput(Layer):
    """The spectrogram of a clip's sound; its grid has one row, and the frequencies along the width."""

    internal = True
    argument_axes = ("C", "T", "F")


@layer(BOXES, category="input")
class BoxesInput(Layer):
    """Boxes in each clip: x1, y1, x2, y2 in pixels. Its grid counts boxes along time."""

    internal = True
    by_name = True
    argument_axes = ("N", "4")


@layer(MASK, category="input")
class MaskInput(Layer):
    """A mask of each clip's positions on a grid: true where a position is hidden."""

    internal = True
    by_name = True
    argument_axes = ("T", "H", "W")
