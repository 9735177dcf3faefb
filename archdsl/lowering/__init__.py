"""Graph to graph: what has to be decided before a network can be printed as code."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archdsl.lowering.clone import clone
from archdsl.lowering.identities import drop_identities
from archdsl.lowering.inplace import choose_inplace
from archdsl.lowering.layouts import assign_layouts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from archdsl.graph.model import Network


class Pass(NamedTuple):
    """A step of lowering. It edits the copy that `lower` makes, nothing else, and says how often it did something."""

    name: str
    run: Callable[[Network], int]
    doc: str
    needed: bool = False  # whether code cannot be printed without it


# In this order.
PASSES = (
    Pass("identities", drop_identities, "layers without effect that are taken out"),
    Pass("layouts", assign_layouts, "conversions between layouts in memory", needed=True),
    Pass("inplace", choose_inplace, "activations that overwrite their input"),
)
SWITCHABLE = tuple(p.name for p in PASSES if not p.needed)


def without_identities(network: Network) -> Network:
    """A copy of the network without the layers that change nothing, as people draw it."""
    simplified = clone(network)
    drop_identities(simplified)
    return simplified


def lower(network: Network, without: Collection[str] = ()) -> Network:
    """A copy of the network, ready to be printed: no layer without effect, layouts and in-place operations chosen.

    `without` names passes that are left out, so that what they gain can be measured.
    """
    return lowered_with_counts(network, without)[0]


def lowered_with_counts(network: Network, without: Collection[str] = ()) -> tuple[Network, dict[str, int | None]]:
    """The same, and how often each pass did something; None where it was left out."""
    lowered = clone(network)
    counts = {p.name: None if p.name in without else p.run(lowered) for p in PASSES}
    return lowered, counts
