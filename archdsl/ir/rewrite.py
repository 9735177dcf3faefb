"""Edits of a network that preserve its invariants: order of data flow, unique names, edges that equal the inputs."""

from __future__ import annotations

from itertools import chain, count
from typing import TYPE_CHECKING

from archdsl.ir.regions import Shortcut, walk
from archdsl.ir.rows import stage_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archdsl.ir.network import Network, Node
    from archdsl.ir.regions import Region


def new_number(network: Network) -> int:
    """Return the number for a new node."""
    return max(network.graph) + 1


def insert(network: Network, node: Node, place: int) -> None:
    """Insert a new node into a network and its region, at an index among the region's items.

    In the order of data flow it precedes the items after that index, or else directly follows its inputs. A number is
    appended to its label if another node has the same name.
    """
    earliest = max(map(network.order.index, node.inputs)) + 1
    following = (n for item in node.region.items[place:] for n in ([item] if isinstance(item, int) else item.nodes()))
    first = next(following, None)
    network.order.insert(earliest if first is None else max(earliest, network.order.index(first)), node.id)
    network.graph.add_node(node.id, node=node)
    _add_edges(network, node)
    taken = _labels(network, node.region)
    numbered = (f"{node.label}{number}" for number in count(2))
    node.label = next(label for label in chain([node.label], numbered) if label not in taken)
    node.region.items.insert(place, node.id)


def _labels(network: Network, region: Region) -> set[str]:
    """Return the labels of all nodes with the name prefix of a region."""
    same = walk(part for part in network.regions if part.name == region.top.name)
    items = [item for other in same if other.name == region.name for item in other.items]
    return {network.node(item).label for item in items if isinstance(item, int)}


def reconnect(network: Network, node: Node, inputs: Iterable[int]) -> None:
    """Replace the inputs of a node by values that precede it."""
    node.inputs = tuple(inputs)
    network.graph.remove_edges_from(list(network.graph.in_edges(node.id)))
    _add_edges(network, node)


def _add_edges(network: Network, node: Node) -> None:
    for source, shape in zip(node.inputs, node.input_shapes, strict=True):
        network.graph.add_edge(source, node.id, shape=shape)


def remove(network: Network, replacements: Mapping[int, int]) -> None:
    """Remove nodes; each is replaced by a node that precedes it, which may be replaced as well."""

    def replacement(number: int) -> int:
        while number in replacements:
            number = replacements[number]
        return number

    for node in list(network.all_nodes()):
        if any(i in replacements for i in node.inputs):
            reconnect(network, node, map(replacement, node.inputs))
    network.graph.remove_nodes_from(replacements)
    network.order = [number for number in network.order if number not in replacements]
    for region in walk(network.regions):
        region.items = [i for i in region.items if not (isinstance(i, int) and i in replacements)]
        region.redirect(replacement)
    for region in network.regions:
        _remove_empty(region)
    network.outputs = {name: replacement(output) for name, output in network.outputs.items()}


def _remove_empty(region: Region) -> None:
    """Remove inner regions without nodes, except blocks of a row, which are numbered, and shortcuts."""
    for inner in region.inner:
        _remove_empty(inner)
    if stage_row(region) is not None and any(True for _ in region.nodes()):
        return
    region.items = [i for i in region.items if isinstance(i, int | Shortcut) or i.items]
