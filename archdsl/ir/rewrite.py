"""Changes of a network that keep it valid: nodes in the order of data flow, names unique, edges as inputs say."""

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
    """Put a new node into a network and its region, at a place among the region's items.

    In the order of data flow it stands before the items behind that place, or else right behind its inputs. A number
    is added to its label where another node of that name is there.
    """
    behind = max(map(network.order.index, node.inputs)) + 1
    following = (n for item in node.region.items[place:] for n in ([item] if isinstance(item, int) else item.nodes()))
    first = next(following, None)
    network.order.insert(behind if first is None else max(behind, network.order.index(first)), node.id)
    network.graph.add_node(node.id, node=node)
    _add_edges(network, node)
    taken = _labels(network, node.region)
    numbered = (f"{node.label}{number}" for number in count(2))
    node.label = next(label for label in chain([node.label], numbered) if label not in taken)
    node.region.items.insert(place, node.id)


def _labels(network: Network, region: Region) -> set[str]:
    """Return the labels of the nodes whose names begin as those in a region do."""
    same = walk(part for part in network.regions if part.name == region.top.name)
    items = [item for other in same if other.name == region.name for item in other.items]
    return {network.node(item).label for item in items if isinstance(item, int)}


def reconnect(network: Network, node: Node, inputs: Iterable[int]) -> None:
    """Give a node other inputs, which come before it."""
    node.inputs = tuple(inputs)
    network.graph.remove_edges_from(list(network.graph.in_edges(node.id)))
    _add_edges(network, node)


def _add_edges(network: Network, node: Node) -> None:
    for source, shape in zip(node.inputs, node.input_shapes, strict=True):
        network.graph.add_edge(source, node.id, shape=shape)


def take_out(network: Network, stands_for: Mapping[int, int]) -> None:
    """Remove nodes, each replaced by another one before it, which may be replaced, too."""

    def instead(number: int) -> int:
        while number in stands_for:
            number = stands_for[number]
        return number

    for node in list(network.all_nodes()):
        if any(i in stands_for for i in node.inputs):
            reconnect(network, node, map(instead, node.inputs))
    network.graph.remove_nodes_from(stands_for)
    network.order = [number for number in network.order if number not in stands_for]
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
