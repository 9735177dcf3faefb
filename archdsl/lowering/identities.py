"""Removal of identity layers: dropout with rate 0, pooling with kernel 1, frame subsampling with step 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.sym import Sym
from archdsl.core.values import is_list
from archdsl.ir.regions import walk
from archdsl.ir.rewrite import remove

if TYPE_CHECKING:
    from archdsl.core.source import Span
    from archdsl.ir.network import Network, Node


def drop_identities(network: Network) -> int:
    """Replace every identity node by its input; return the number of removed nodes."""
    effective = _effective(network)
    identities = [n for n in network.all_nodes() if n.inputs and n.span not in effective and _is_identity(n)]
    remove(network, {n.id: n.inputs[0] for n in identities})
    return len(identities)


def drop_regularisation(network: Network) -> int:
    """Remove dropout and stochastic depth, which have no effect in inference; return the number of removed nodes."""
    for node in network.all_nodes():
        node.layer = node.layer.for_inference()
    regularisers = [n for n in network.all_nodes() if n.layer.training_only]
    remove(network, {n.id: n.inputs[0] for n in regularisers})
    for node in network.all_nodes():
        node.frozen = False
    for region in walk(network.regions):
        region.frozen = False
    return len(regularisers)


def drop_frozen(network: Network) -> int:
    """Remove layers of training that a chain freezes, where the rest of their class is trained; return their number."""
    idle = [n for n in network.all_nodes() if n.frozen and n.layer.training_only]
    remove(network, {n.id: n.inputs[0] for n in idle})
    return len(idle)


def _effective(network: Network) -> set[Span]:
    """Return the spans of dropout layers with a rate above 0 in some call of a block.

    They stay in all calls, so that the calls share a class.
    """
    rates = [n for n in network.all_nodes() if n.layer.training_only]
    return {n.span for n in rates if not _is_identity(n)}


def _is_identity(node: Node) -> bool:
    """Return True if a layer is the identity with the plain numbers of this node, not the formulas of its block."""
    layer = node.layer
    if layer.attributes:
        layer = layer.changed(**{name: _plain(value) for name, value in layer.values().items()})
    return layer.is_identity(*node.input_shapes)


def _plain(value: object) -> object:
    if isinstance(value, Sym):
        return int(value)
    return tuple(_plain(v) for v in value) if is_list(value) else value
