"""Takes out layers that change nothing: dropout at 0, a pool of 1, one of every 1 frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.sym import Sym
from archdsl.core.values import is_list
from archdsl.lowering.clone import all_units, reconnect

if TYPE_CHECKING:
    from archdsl.core.source import Span
    from archdsl.graph.model import Network, Node


def drop_identities(network: Network) -> int:
    """Removes every node that is the identity, and lets its input take its place; how many there were."""
    stands_for: dict[int, int] = {}
    kept = _kept(network)
    for node in list(network.all_nodes()):
        if any(i in stands_for for i in node.inputs):
            reconnect(network, node, (stands_for.get(i, i) for i in node.inputs))
        if node.inputs and node.span not in kept and _is_identity(node):
            stands_for[node.id] = node.inputs[0]
            network.graph.remove_node(node.id)
    if not stands_for:
        return 0
    for unit in all_units(network.units):
        unit.items = [i for i in unit.items if not (isinstance(i, int) and i in stands_for)]
        unit.entry = stands_for.get(unit.entry, unit.entry)
        unit.exit = stands_for.get(unit.exit, unit.exit)
    network.output = stands_for.get(network.output, network.output)
    return len(stands_for)


def _kept(network: Network) -> set[Span]:
    """Places of the spec where a rate is 0 in some uses of a block only: these share a class with the others."""
    rates = [n for n in network.all_nodes() if n.layer.category == "regularisation"]
    return {n.span for n in rates if not _is_identity(n)}


def _is_identity(node: Node) -> bool:
    """Judged by the numbers of this one place, not by the formulas of its block."""
    layer = node.layer
    if layer.attributes:
        layer = type(layer)(**{name: _plain(value) for name, value in layer.values().items()})
    return layer.is_identity(*node.input_shapes)


def _plain(value: object) -> object:
    if isinstance(value, Sym):
        return int(value)
    return tuple(_plain(v) for v in value) if is_list(value) else value
