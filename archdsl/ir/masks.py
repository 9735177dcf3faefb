"""Masks of a network: the numbers of positions that they leave visible, as the layers that read them say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.input import MASK
from archdsl.layers.masked import Masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    import networkx as nx

    from archdsl.ir.network import Network, Node


def readers(graph: nx.DiGraph[int], number: int) -> Iterator[tuple[Node, int]]:
    """Yield the layers that read an input as a mask, with the number of positions that it must leave visible."""
    if graph.nodes[number]["node"].layer.kind != MASK:
        return
    for reader in graph.successors(number):
        node: Node = graph.nodes[reader]["node"]
        if isinstance(node.layer, Masked):
            yield node, node.layer.visible(*node.input_shapes)


def visible(network: Network) -> dict[str, int]:
    """Return the number of positions that each mask leaves visible, by the name of the input."""
    found = {name: [n for _, n in readers(network.graph, number)] for name, number in network.inputs.items()}
    return {name: numbers[0] for name, numbers in found.items() if numbers}


def reconstructs(network: Network) -> bool:
    """Return True if a mask hides positions of the clip, and an output has positions."""
    masked = any(network.node(number).layer.kind == MASK for number in network.inputs.values())
    return masked and any(network.node(number).shape.positions > 1 for number in network.outputs.values())
