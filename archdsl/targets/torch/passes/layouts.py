"""Where the numbers of each value live, and the fewest conversions between layouts.

A spec never speaks of layouts. Each layer names those that it takes; a value stays in the one it has as long as the
next layer takes it. The output of a stage whose channels lie last is there with its channels first, too, for what reads
it so; generated code leaves out the conversions that nothing reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.ir.regions import Block, Conversion, Featured, Stage, around, walk
from archdsl.ir.rewrite import insert, new_number, reconnect
from archdsl.ir.rows import stage_row
from archdsl.targets.torch.ops import convert
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID, TOKENS, VECTOR
from archdsl.targets.torch.select import OpNetwork, OpNode, op_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.ir.regions import InputPlace, Part, Region


def assign_layouts(network: OpNetwork) -> int:
    """Sets the layout of every node's inputs; puts conversions where a layer does not take what it gets. How many."""
    conversions = _Conversions(network)
    given = conversions.given
    for node in list(network.all_nodes()):
        if not node.inputs:
            continue
        before = node.inputs
        node.inputs = tuple(conversions.entering(node, i) for i in before)
        node.layout = _choose(node, given)
        sources = [conversions.before(node, i) for i in node.inputs]
        if sources != list(before):
            reconnect(network, node, sources)
        given[node.id] = node.op.output_layout(node.layout)
        region = node.region.top
        if node.id == region.exit and isinstance(region, Featured) and given[node.id] == CHANNELS_LAST:
            conversions.give_out(node)
    conversions.give_out_again()
    conversions.end()
    return sum(isinstance(node.layer, convert.Conversion) for node in network.all_nodes())


def _choose(node: OpNode, given: Mapping[int, str]) -> str:
    """The first input's layout if the layer takes it, else the layer's own favourite that the shape allows."""
    accepted = _accepted(node)
    present = [given[i] for i in node.inputs if given[i] in accepted]
    return present[0] if present else accepted[0]


def _accepted(node: OpNode) -> list[str]:
    if any(s.token for s in node.input_shapes):
        return [TOKENS]
    accepted = [x for x in node.op.accepted_layouts if x != TOKENS]
    return [x for x in accepted if x != VECTOR or all(s.is_vector for s in node.input_shapes)]


class _Conversions:
    """The layout of every value so far, and the nodes that change it."""

    def __init__(self, network: OpNetwork) -> None:
        self.network = network
        self.given: dict[int, str] = dict.fromkeys(network.inputs.values(), GRID)
        self.outside: dict[int, int] = {}  # the last value of a part of a stage, and the same with its channels first
        self.entered: dict[tuple[int, Region], int] = {}  # as what a region sees a value from outside

    def entering(self, node: OpNode, source: int) -> int:
        """An input as the region sees it that it comes into: all layers in that see it in one layout."""
        if self.network.node(source).layer.holds_indices:
            return source
        place, child = _border(self.network.node(source).region, node.region)
        if child is None:
            return source
        if (source, child) not in self.entered:
            self.entered[source, child] = self._entering(node, source, place, child)
        return self.entered[source, child]

    def _entering(self, node: OpNode, source: int, place: Region | None, child: Region) -> int:
        """A value out of a part of a stage has two layouts; a row of blocks is given the one that it keeps."""
        accepted = _accepted(node)
        deep = node.region is not child.top and isinstance(child, Block | Stage)
        wants = CHANNELS_LAST in accepted and GRID not in accepted
        if deep and wants and self.given[source] == GRID and self._keeps(child, source, CHANNELS_LAST):
            return self._converted_before(source, place, child)
        if source in self.outside and self.given[source] not in accepted:
            _see(child, source, self.outside[source])
            return self.outside[source]
        return source

    def _converted_before(self, source: int, place: Region | None, child: Region) -> int:
        """Convert a value before a region; at its beginning, if it is a block in a row, which holds blocks only."""
        if place is not None and stage_row(place) is not None:
            made = self._convert(source, CHANNELS_LAST, child, 0)
            for inner in child.inner:
                _see(inner, source, made)
            return made
        if place is not None:
            made = self._convert(source, CHANNELS_LAST, place, _index(place, child))
        else:
            made = self._beside(source, CHANNELS_LAST, child.top, 0)
        _see(child, source, made)
        return made

    def _keeps(self, region: Region, source: int, layout: str) -> bool:
        """Whether a region that is given a value in a layout gives its own value in the same one."""
        given = {**self.given, source: layout}
        for number in region.nodes():
            node = self.network.node(number)
            if any(i not in given for i in node.inputs):
                return False  # it also needs what is computed later, from a value in the middle of it
            given[number] = node.op.output_layout(_choose(node, given))
        return given.get(region.exit) == layout

    def give_out(self, node: OpNode) -> None:
        """Keeps the last value of a part of a stage with its channels first, too."""
        self.outside[node.id] = self.behind(node, GRID)

    def give_out_again(self) -> None:
        """Do the same for parts of stages that do nothing, and so give what they are given."""
        for region in list(self.network.regions):
            idle = isinstance(region, Featured) and not region.items
            if idle and self.given[region.exit] == CHANNELS_LAST and region.exit not in self.outside:
                self.outside[region.exit] = self._beside(region.exit, GRID, region, 1)

    def before(self, node: OpNode, source: int) -> int:
        """An input of a node in the layout that the node wants; beside class tokens, a grid without has them last."""
        if self.network.node(source).layer.holds_indices:
            return source
        given = self.network.node(source).shape
        wanted = CHANNELS_LAST if node.layout == TOKENS and not given.token else node.layout
        if self.given[source] == wanted:
            return source
        return self._convert(source, wanted, node.region, node.region.items.index(node.id))

    def behind(self, node: OpNode, layout: str) -> int:
        """A conversion of the last value of a part of a stage, in a region of its own behind that part."""
        return self._beside(node.id, layout, node.region.top, 1)

    def _beside(self, source: int, layout: str, part: Part | InputPlace, place: int) -> int:
        """A conversion in a region of its own, before another one or behind it."""
        made = Conversion(path=part.path, stage=part.stage, entry=source)
        made.exit = self._convert(source, layout, made, 0)
        at = next(i for i, other in enumerate(self.network.regions) if other is part)
        self.network.regions.insert(at + place, made)
        return made.exit

    def end(self) -> None:
        """What a module returns: a vector without empty axes, else a grid with its channels first."""
        network = self.network
        network.output = self.outside.get(network.output, network.output)
        node = network.node(network.output)
        wanted = TOKENS if node.shape.token else VECTOR if node.shape.is_vector else GRID
        if self.given[node.id] != wanted:
            last = node.region.top if node.inputs else network.regions[-1]  # a clip lies in no part of the network
            network.output = self._beside(node.id, wanted, last, 1)

    def _convert(self, source: int, layout: str, region: Region, place: int) -> int:
        given = self.network.node(source)
        number, shape = new_number(self.network), given.shape
        layer = convert.Conversion(after=layout)
        op = op_of(layer, (shape,), shape)
        node = OpNode(number, layer, (source,), (shape,), shape, region, given.span, "convert", op=op)
        node.layout = self.given[source]
        insert(self.network, node, place)
        self.given[number] = layout
        return number


def _see(region: Region, source: int, made: int) -> None:
    """Let a region and all inside of it see another value in the place of one from outside."""
    for inner in walk([region]):
        if not isinstance(inner, Stage):  # which gives out a value as it was, where one of its lines begins with it
            inner.redirect(lambda value: made if value == source else value)


def _border(source: Region, user: Region) -> tuple[Region | None, Region | None]:
    """The innermost region that holds both, and the one in it that holds the user alone; None where there is none."""
    above = set(around(source))
    child: Region | None = None
    for region in around(user):
        if region in above:
            return region, child
        child = region
    return None, child


def _index(region: Region, child: Region) -> int:
    return next(i for i, item in enumerate(region.items) if item is child)
