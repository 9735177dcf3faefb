"""Where the numbers of each value live, and the fewest conversions between layouts.

A spec never speaks of layouts. Each layer names those that it takes; a value stays in the one it has as long as the
next layer takes it. What a stage gives out has its channels first, so that every feature of a model reads alike.
"""

from __future__ import annotations

from archdsl.graph.model import Network, Node, Unit
from archdsl.layers import vocabulary
from archdsl.layers.base import CHANNELS_LAST, GRID, VECTOR
from archdsl.lowering.clone import all_units, reconnect


def assign_layouts(network: Network) -> None:
    """Sets the layout of every node's inputs and puts conversions where a layer does not take what it gets."""
    conversions = _Conversions(network)
    given = conversions.given
    outside: dict[int, int] = {}  # what other units see in place of the last value of a unit
    for node in list(network.all_nodes()):
        if not node.inputs:
            continue
        before = node.inputs
        node.inputs = tuple(outside.get(i, i) for i in before)
        node.layout = _choose(node, given)
        sources = [conversions.before(node, i) for i in node.inputs]
        if sources != list(before):
            reconnect(network, node, sources)
        given[node.id] = node.layer.output_layout(node.layout)
        unit = node.unit.top
        if node.id == unit.exit and unit.kind in ("stage", "lateral") and given[node.id] == CHANNELS_LAST:
            outside[node.id] = conversions.behind(node, GRID)
    for unit in all_units(network.units):
        if unit.kind != "layout" and unit.entry in outside and network.node(unit.entry).unit.top is not unit.top:
            unit.exit = outside[unit.entry] if unit.exit == unit.entry else unit.exit
            unit.entry = outside[unit.entry]
    network.output = outside.get(network.output, network.output)
    conversions.end()


def _choose(node: Node, given: dict[int, str]) -> str:
    """The first input's layout if the layer takes it, else the layer's own favourite that the shape allows."""
    accepted = [x for x in node.layer.layouts if x != VECTOR or all(s.is_vector for s in node.input_shapes)]
    present = [given[i] for i in node.inputs if given[i] in accepted]
    return present[0] if present else accepted[0]


class _Conversions:
    """The layout of every value so far, and the nodes that change it."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.given: dict[int, str] = dict.fromkeys(network.inputs.values(), GRID)

    def before(self, node: Node, source: int) -> int:
        """An input of a node in the layout that the node wants."""
        if self.given[source] == node.layout:
            return source
        return self._convert(source, node.layout, node.unit, node.unit.items.index(node.id))

    def behind(self, node: Node, layout: str) -> int:
        """A conversion of the last value of a part of a stage, in a unit of its own behind that part."""
        unit = node.unit.top
        after = Unit("layout", "", path=unit.path, stage=unit.stage, entry=node.id)
        after.exit = self._convert(node.id, layout, after, 0)
        self.network.units.insert(self.network.units.index(unit) + 1, after)
        return after.exit

    def end(self) -> None:
        """What a module returns: a vector without empty axes, else a grid with its channels first."""
        node = self.network.node(self.network.output)
        wanted = VECTOR if node.shape.is_vector else GRID
        if self.given[node.id] != wanted and node.inputs:
            self.network.output = self.behind(node, wanted)

    def _convert(self, source: int, layout: str, unit: Unit, place: int) -> int:
        graph, given = self.network.graph, self.network.node(source)
        number, shape = max(graph) + 1, given.shape
        layer = vocabulary()["convert"](after=layout)
        node = Node(number, layer, (source,), (shape,), shape, unit, given.span, "convert")
        node.layout = self.given[source]
        graph.add_node(number, node=node)
        graph.add_edge(source, number, shape=shape)
        unit.items.insert(place, number)
        self.given[number] = layout
        return number
