"""Graph to graph: what has to be decided before a network can be printed as code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.lowering.clone import clone
from archdsl.lowering.identities import drop_identities
from archdsl.lowering.inplace import choose_inplace
from archdsl.lowering.layouts import assign_layouts

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.graph.model import Network

# In this order; each edits the copy that `lower` makes and nothing else.
PASSES: tuple[Callable[[Network], None], ...] = (drop_identities, assign_layouts, choose_inplace)


def without_identities(network: Network) -> Network:
    """A copy of the network without the layers that change nothing, as people draw it."""
    simplified = clone(network)
    drop_identities(simplified)
    return simplified


def lower(network: Network) -> Network:
    """A copy of the network, ready to be printed: no layer without effect, layouts and in-place operations chosen."""
    lowered = clone(network)
    for run in PASSES:
        run(lowered)
    return lowered
