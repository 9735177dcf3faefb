"""Where the numbers of each value live, and the fewest conversions between layouts.

A spec never speaks of layouts. Each layer names those that it takes; a value stays in the one it has as long as the
next layer takes it. What a stage gives out has its channels first, so that every feature of a model reads alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.graph.model import Network, Node, Unit
from archdsl.layers import vocabulary
from archdsl.layers.base import CHANNELS_LAST, GRID, VECTOR
from archdsl.lowering.clone import all_units, reconnect

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


def assign_layouts(network: Network) -> None:
    """Sets the layout of every node's inputs and puts conversions where a layer does not take what it gets."""
    given: dict[int, str] = dict.fromkeys(network.inputs.values(), GRID)
    outside: dict[int, int] = {}  # what other units see in place of the last value of a unit
    for node in list(network.all_nodes()):
        if not node.inputs:
            continue
        before = node.inputs
        node.inputs = tuple(outside.get(i, i) for i in before)
        node.layout = _choose(node, given)
        sources = [_brought(network, node, i, given) for i in node.inputs]
        if sources != list(before):
            reconnect(network, node, sources)
        given[node.id] = node.layer.output_layout(node.layout)
        unit = node.unit.top
        if node.id == unit.exit and unit.kind in ("stage", "lateral") and given[node.id] == CHANNELS_LAST:
            outside[node.id] = _behind(network, node, GRID, given)
    for unit in all_units(network.units):
        if unit.kind != "layout" and unit.entry in outside and network.node(unit.entry).unit.top is not unit.top:
            unit.exit = outside[unit.entry] if unit.exit == unit.entry else unit.exit
            unit.entry = outside[unit.entry]
    network.output = outside.get(network.output, network.output)
    _end(network, given)


def _choose(node: Node, given: dict[int, str]) -> str:
    """The first input's layout if the layer takes it, else the layer's own favourite that the shape allows."""
    accepted = [x for x in node.layer.layouts if x != VECTOR or all(s.is_vector for s in node.input_shapes)]
    present = [given[i] for i in node.inputs if given[i] in accepted]
    return present[0] if present else accepted[0]


def _brought(network: Network, node: Node, source: int, given: dict[int, str]) -> int:
    if given[source] == node.layout:
        return source
    shape = network.node(source).shape
    place = node.unit.items.index(node.id)
    return _convert(network, source, node.layout, shape, node.unit, place, given)


def _convert(
    network: Network, source: int, layout: str, shape: Grid, unit: Unit, place: int, given: dict[int, str]
) -> int:
    number = max(network.graph) + 1
    layer = vocabulary()["convert"](after=layout)
    node = Node(number, layer, (source,), (shape,), shape, unit, network.node(source).span, "convert")
    node.layout = given[source]
    network.graph.add_node(number, node=node)
    network.graph.add_edge(source, number, shape=shape)
    unit.items.insert(place, number)
    given[number] = layout
    return number


def _behind(network: Network, node: Node, layout: str, given: dict[int, str]) -> int:
    """A conversion of the last value of a part of a stage, in a unit of its own behind that part."""
    unit = node.unit.top
    after = Unit("layout", "", path=unit.path, stage=unit.stage, entry=node.id)
    after.exit = _convert(network, node.id, layout, node.shape, after, 0, given)
    network.units.insert(network.units.index(unit) + 1, after)
    return after.exit


def _end(network: Network, given: dict[int, str]) -> None:
    """What a module returns: a vector without empty axes, else a grid with its channels first."""
    node = network.node(network.output)
    wanted = VECTOR if node.shape.is_vector else GRID
    if given[node.id] != wanted and node.inputs:
        network.output = _behind(network, node, wanted, given)
