"""Copies of networks for passes to edit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import networkx as nx

from archdsl.graph.model import Network, Node, Unit
from archdsl.graph.rows import stage_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def clone(network: Network) -> Network:
    """The same network in nodes and units of its own; layers and shapes are shared, since nothing changes them."""
    units: dict[int, Unit] = {}
    copies = [_clone_unit(unit, None, units) for unit in network.units]
    graph: nx.DiGraph[int] = nx.DiGraph()
    for number, data in network.graph.nodes(data=True):
        node: Node = data["node"]
        graph.add_node(number, node=replace(node, unit=units.get(id(node.unit), node.unit)))
    graph.add_edges_from(network.graph.edges(data=True))
    return replace(network, graph=graph, units=copies, folded=dict(network.folded))


def _clone_unit(unit: Unit, parent: Unit | None, seen: dict[int, Unit]) -> Unit:
    copy = replace(unit, parent=parent)
    seen[id(unit)] = copy
    copy.items = [_clone_unit(i, copy, seen) if isinstance(i, Unit) else i for i in unit.items]
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
    for unit in all_units(network.units):
        unit.items = [i for i in unit.items if not (isinstance(i, int) and i in stands_for)]
        unit.entry, unit.exit = instead(unit.entry), instead(unit.exit)
    for unit in network.units:
        _drop_empty(unit)
    network.output = instead(network.output)


def _drop_empty(unit: Unit) -> None:
    """Remove inner units without nodes. Members of a row keep their numbers, and a shortcut tells that it is absent."""
    for item in unit.items:
        if isinstance(item, Unit):
            _drop_empty(item)
    if stage_row(unit) is not None and any(True for _ in unit.nodes()):
        return
    unit.items = [i for i in unit.items if isinstance(i, int) or i.kind == "shortcut" or i.items]


def all_units(units: Iterable[Unit]) -> Iterable[Unit]:
    """Units and those inside them."""
    for unit in units:
        yield unit
        yield from all_units(i for i in unit.items if isinstance(i, Unit))
