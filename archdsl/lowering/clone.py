"""Copies of networks for passes to edit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    from archdsl.ir.network import Network, Node
    from archdsl.ir.regions import Item, Part, Region


def clone(network: Network) -> Network:
    """Return a copy of a network, with new nodes and regions; layers and shapes are immutable and shared."""
    regions: dict[int, Region] = {}
    copies = [_clone_part(part, regions) for part in network.regions]
    graph: nx.DiGraph[int] = nx.DiGraph()
    for number, data in network.graph.nodes(data=True):
        node: Node = data["node"]
        graph.add_node(number, node=replace(node, region=regions.get(id(node.region), node.region)))
    graph.add_edges_from(network.graph.edges(data=True))
    return replace(
        network,
        graph=graph,
        regions=copies,
        outputs=dict(network.outputs),
        order=list(network.order),
        folded=dict(network.folded),
    )


def _clone_part(part: Part, seen: dict[int, Region]) -> Part:
    copy = seen[id(part)] = replace(part)
    copy.items = [_clone_item(item, copy, seen) for item in part.items]
    return copy


def _clone_item(item: Item, parent: Region, seen: dict[int, Region]) -> Item:
    if isinstance(item, int):
        return item
    copy = seen[id(item)] = replace(item, parent=parent)
    copy.items = [_clone_item(inner, copy, seen) for inner in item.items]
    return copy
