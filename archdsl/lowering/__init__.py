"""Graph to graph, whatever the target: layers without effect, and norms that become part of a convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.lowering.clone import clone
from archdsl.lowering.identities import drop_identities

if TYPE_CHECKING:
    from archdsl.ir.network import Network


def without_identities(network: Network) -> Network:
    """Return a copy of the network without the layers that change nothing, as people draw it."""
    simplified = clone(network)
    drop_identities(simplified)
    return simplified
