"""Passes that are independent of the target: removal of identities, and batch-norm folding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.lowering.clone import clone
from archdsl.lowering.identities import drop_identities

if TYPE_CHECKING:
    from archdsl.ir.network import Network


def without_identities(network: Network) -> Network:
    """Return a copy of the network without identity layers, as diagrams show it."""
    simplified = clone(network)
    drop_identities(simplified)
    return simplified
