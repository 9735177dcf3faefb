"""Export of the graph to networkx, with plain names and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from archdsl.analysis.cost import node_cost
from archdsl.core.values import is_list

if TYPE_CHECKING:
    from archdsl.ir.network import Network
    from archdsl.layers.base import Layer


def as_networkx(network: Network) -> nx.DiGraph[str]:
    """Return a digraph of the layers. Its nodes are named as in the state dict of the generated module.

    Layers without weights have names of the same form; names are unique.
    """
    graph: nx.DiGraph[str] = nx.DiGraph(name=network.name)
    names = {node.id: node.name for node in network.all_nodes()}
    for node in network.all_nodes():
        cost = node_cost(node)
        graph.add_node(
            names[node.id],
            kind=node.layer.kind,
            attributes=plain_values(node.layer),
            path=node.region.top.path,
            stage=node.region.top.stage,
            shape=tuple(int(n) for n in node.shape.shape),
            token=node.shape.token,
            tokens={kind: int(number) for kind, number in node.shape.tokens.kinds},
            params=cost.params,
            macs=cost.macs,
        )
    for source, target, data in network.graph.edges(data=True):
        graph.add_edge(names[source], names[target], shape=tuple(int(n) for n in data["shape"].shape))
    return graph


def plain_values(layer: Layer) -> dict[str, object]:
    """Return the attributes of a layer by name, with plain numbers in place of formulas."""
    return {k: _plain(v) for k, v in layer.values().items()}


def _plain(value: object) -> object:
    if is_list(value):
        return tuple(_plain(v) for v in value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
