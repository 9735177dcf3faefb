"""The number of classes as an argument: the layers whose width it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.sym import Sym
from archdsl.ir.masks import reconstructs
from archdsl.layers.base import CHANNELS, ShapeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.targets.torch.classes import Grouping
    from archdsl.targets.torch.select import OpNetwork, OpNode

NUM_CLASSES = "num_classes"


class ClassCount(Sym):
    """The number of classes of a network."""


def mark_class_count(network: OpNetwork, grouping: Grouping) -> int | None:
    """Mark the number of classes where layers have it as their width, and return it; None if there is none.

    Several heads have a number each, so that there is none for all; what a mask hides is reconstructed at each
    position, without classes. The output comes from these layers, perhaps through others that have no weights and
    keep channels. A class that such layers share with others takes no number of classes, and so neither does the
    network; nor does one that is called as the argument.
    """
    if len(network.outputs) > 1 or reconstructs(network):
        return None
    last = _last_layers(network)
    numbers = {node.id for node in last}
    if not last or network.family == NUM_CLASSES or any(not _same_places(grouping, node) <= numbers for node in last):
        return None
    for node in last:
        number = ClassCount(int(node.shape.channels), ("var", NUM_CLASSES))
        node.layer = node.layer.changed(**{node.layer.width: number})
    return int(last[0].shape.channels)


def _last_layers(network: OpNetwork) -> list[OpNode]:
    found: dict[int, OpNode] = {}
    waiting = list(network.outputs.values())
    while waiting:
        node = network.node(waiting.pop())
        if node.layer.width and not node.layer.added_by and node.layer.values().get("groups", 1) == 1:
            found[node.id] = node
        elif node.inputs and _keeps_channels(node):
            waiting += node.inputs
        else:
            return []
    inputs = {i for n in network.all_nodes() for i in n.inputs if n.id not in _behind(network, found)}
    return [] if inputs & found.keys() else list(found.values())


def _behind(network: OpNetwork, last: Iterable[int]) -> set[int]:
    """Return the nodes on the ways from the last layers to the output."""
    found, waiting, ends = set[int](), list(network.outputs.values()), set(last)
    while waiting:
        number = waiting.pop()
        if number not in found and number not in ends:
            found.add(number)
            waiting += network.node(number).inputs
    return found


def _keeps_channels(node: OpNode) -> bool:
    """Tell whether a layer has no weights and gives as many channels as it takes, however many these are."""
    layer, shapes = node.layer, node.input_shapes
    if layer.added_by or layer.joins == CHANNELS or layer.weights(*shapes) or layer.buffers(*shapes):
        return False
    if layer.internal:
        return True
    more = [shape._replace(channels=int(shape.channels) + 1) for shape in shapes]
    try:
        outputs = layer.infer(*shapes), layer.infer(*more)
    except ShapeError:  # it does not take any number
        return False
    return all(made.channels == taken[0].channels for made, taken in zip(outputs, (shapes, more), strict=True))


def _same_places(grouping: Grouping, node: OpNode) -> set[int]:
    """Return the nodes that a class prints as one with a node."""
    group = grouping.of.get(id(node.region))
    if group is None:
        return {node.id}
    place = node.region.items.index(node.id)
    return {item for region in group.regions if isinstance(item := region.items[place], int)}
