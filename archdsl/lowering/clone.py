"""Copies of networks for passes to edit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import networkx as nx

from archdsl.ir.regions import Shortcut, walk
from archdsl.ir.rows import stage_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archdsl.ir.network import Network, Node
    from archdsl.ir.regions import Item, Part, Region


def clone(network: Network) -> Network:
    """The same network in nodes and regions of its own; layers and shapes are shared, since nothing changes them."""
    regions: dict[int, Region] = {}
    copies = [_clone_part(part, regions) for part in network.regions]
    graph: nx.DiGraph[int] = nx.DiGraph()
    for number, data in network.graph.nodes(data=True):
        node: Node = data["node"]
        graph.add_node(number, node=replace(node, region=regions.get(id(node.region), node.region)))
    graph.add_edges_from(network.graph.edges(data=True))
    return replace(network, graph=graph, regions=copies, folded=dict(network.folded))


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


def reconnect(network: Network, node: Node, inputs: Iterable[int]) -> None:
    """Gives a node other inputs."""
    node.inputs = tuple(inputs)
    network.graph.remove_edges_from(list(network.graph.in_edges(node.id)))
    for source, shape in zip(node.inputs, node.input_shapes, strict=True):
        network.graph.add_edge(source, node.id, shape=shape)


def take_out(network: Network, stands_for: Mapping[int, int]) -> None:
    """Removes nodes, each replaced by another one before it, which may be replaced, too."""

    def instead(number: int) -> int:
        while number in stands_for:
            number = stands_for[number]
        return number

    for node in list(network.all_nodes()):
        if any(i in stands_for for i in node.inputs):
            reconnect(network, node, map(instead, node.inputs))
    network.graph.remove_nodes_from(stands_for)
    for region in walk(network.regions):
        region.items = [i for i in region.items if not (isinstance(i, int) and i in stands_for)]
        region.redirect(instead)
    for region in network.regions:
        _drop_empty(region)
    network.output = instead(network.output)


def _drop_empty(region: Region) -> None:
    """Remove inner regions without nodes. Members of a row keep their numbers; a shortcut tells that it is absent."""
    for inner in region.inner:
        _drop_empty(inner)
    if stage_row(region) is not None and any(True for _ in region.nodes()):
        return
    region.items = [i for i in region.items if isinstance(i, int | Shortcut) or i.items]
