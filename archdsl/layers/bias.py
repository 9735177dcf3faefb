"""Biases of scores: layers that give a number for each head, query and key of an attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from archdsl.layers.base import Layer, ShapeError

if TYPE_CHECKING:
    from typing import Self

    from archdsl.layers.axes import Size3

BIAS = "bias"  # the category of layers in lines `bias: …`


@dataclass(frozen=True)
class BiasGeometry:
    """The queries and keys of one group of an attention; sizes are over t, h and w.

    Distances are in positions of the grid that enters, or of the finest, if a value from outside is finer: neighbouring
    queries lie `q_step` apart, neighbouring keys `k_step`. Class tokens have no distance and are not counted.
    """

    axes: str  # looked along, such as `hw`; on the others a group has one position
    window: Size3  # positions of a group on the finest grid
    largest: Size3  # the same, where a window is not cut to a shorter axis
    queries: Size3  # of a group
    keys: Size3
    q_step: Size3
    k_step: Size3
    heads: int
    width: int  # channels of one head of the queries
    groups: int  # of a clip, or of a frame, if each frame has a class token
    frames: int  # those that are attended to one by one, if each has a class token; otherwise 1
    banded: bool = False  # whether queries see the keys of a band

    @property
    def strided(self) -> bool:
        """True if queries or keys lie more than one position apart."""
        return any(n != 1 for n in (*self.q_step, *self.k_step))


class Bias(Layer):
    """Base class of biases. Subclasses override the defaults; `geometry` is known in all methods.

    A bias is no link of a chain: its methods get no shapes of inputs. Its code gives a tensor that broadcasts to
    (B, heads, queries, keys), where B counts groups. Several biases add up.
    """

    takes_queries: ClassVar[bool] = False  # its code gets the queries: (B, heads, queries, channels of a head)
    takes_band: ClassVar[bool] = False  # has distances for attention in a band
    in_windows: ClassVar[bool] = False  # its numbers are those of the index of distances that windows hold
    title: ClassVar[str] = ""  # in docstrings of generated classes: `the relative position bias from a table`
    geometry: BiasGeometry

    def placed(self, geometry: BiasGeometry) -> Self:
        """Return the bias at a place of this geometry."""
        return self.changed(geometry=geometry)

    def check(self) -> None:
        """Check that the bias can be computed for its geometry.

        Raises:
            ShapeError: if it cannot.
        """

    @property
    def takes_first_rows(self) -> bool:
        """True if that index is the beginning of a larger window's."""
        return False

    def operands(self) -> int:
        return int(self.takes_queries)

    def bias_macs(self) -> int:
        """Return its multiply-adds, for one clip."""
        return 0


def check_steps(geometry: BiasGeometry) -> None:
    """Check that queries and keys lie on positions of the finest grid, so that it has all their distances.

    Raises:
        ShapeError: if they do not.
    """
    found = geometry
    for title, sizes, steps in (("queries", found.queries, found.q_step), ("keys", found.keys, found.k_step)):
        for axis, n, m, step in zip("thw", found.window, sizes, steps, strict=True):
            if (m - 1) * step >= n:
                message = f"{m} {title} over {axis} do not lie {step} apart on the {n} positions of the input"
                hint = "distances are counted there: a stride that divides them; or `bias: decomposed`"
                raise ShapeError(message, hint=hint)
