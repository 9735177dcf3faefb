"""Takes out layers that change nothing: dropout at 0, a pool of 1, one of every 1 frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.sym import Sym
from archdsl.core.values import is_list
from archdsl.ir.regions import Featured
from archdsl.ir.rewrite import take_out

if TYPE_CHECKING:
    from archdsl.core.source import Span
    from archdsl.ir.network import Network, Node


def drop_identities(network: Network) -> int:
    """Removes every node that is the identity, and lets its input take its place; how many there were."""
    kept = _kept(network)
    found = [n for n in network.all_nodes() if n.inputs and n.span not in kept and _is_identity(n)]
    take_out(network, {n.id: n.inputs[0] for n in found})
    return len(found)


def drop_regularisation(network: Network) -> int:
    """Removes dropout and drop path, which do nothing outside of training; how many there were."""
    for node in network.all_nodes():
        node.layer = node.layer.for_inference()
    found = [n for n in network.all_nodes() if n.layer.training_only]
    take_out(network, {n.id: n.inputs[0] for n in found})
    for part in network.regions:
        if isinstance(part, Featured):
            part.frozen = False
    return len(found)


def _kept(network: Network) -> set[Span]:
    """Places of the spec where a rate is 0 in some uses of a block only: these share a class with the others."""
    rates = [n for n in network.all_nodes() if n.layer.training_only]
    return {n.span for n in rates if not _is_identity(n)}


def _is_identity(node: Node) -> bool:
    """Judged by the numbers of this one place, not by the formulas of its block."""
    layer = node.layer
    if layer.attributes:
        layer = layer.changed(**{name: _plain(value) for name, value in layer.values().items()})
    return layer.is_identity(*node.input_shapes)


def _plain(value: object) -> object:
    if isinstance(value, Sym):
        return int(value)
    return tuple(_plain(v) for v in value) if is_list(value) else value
