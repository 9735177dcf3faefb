"""Assignment of memory layouts to values, with few conversions between layouts.

A spec does not mention layouts. Each op declares those that it accepts; a value keeps its layout as long as the next
op accepts it. The output of a stage that is channels-last is also converted to channels-first, for readers that need
it; generated code leaves out conversions that nothing reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.analysis.clip_limits import grids_by_clip
from archdsl.ir.flow import opened
from archdsl.ir.outputs import BOX_GRID_AXES, BOX_VECTOR_AXES, GRID_AXES, VECTOR_AXES, output_axes
from archdsl.ir.regions import Block, Conversion, Featured, Head, Shortcut, Stage, around, walk
from archdsl.ir.rewrite import insert, new_number, reconnect
from archdsl.ir.rows import row_of_blocks, stage_row
from archdsl.targets.torch.ops import convert
from archdsl.targets.torch.ops.layouts import BOX_GRIDS, BOX_VECTORS, CHANNELS_LAST, GRID, KEPT, ROW, TOKENS, VECTOR
from archdsl.targets.torch.select import OpNetwork, OpNode, op_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.ir.network import Network
    from archdsl.ir.regions import InputPlace, Part, Region

_GIVEN_OUT: dict[tuple[str, ...], str] = {
    VECTOR_AXES: VECTOR,
    GRID_AXES: GRID,
    BOX_VECTOR_AXES: BOX_VECTORS,
    BOX_GRID_AXES: BOX_GRIDS,
}


def assign_layouts(network: OpNetwork) -> int:
    """Set the layout of every node's inputs, insert conversions where they are needed, and return their number."""
    conversions = _Conversions(network)
    given = conversions.given
    for node in list(network.all_nodes()):
        if not node.inputs:
            continue
        before = node.inputs
        node.inputs = tuple(conversions.entering(node, i) for i in before)
        first = conversions.twins.of.get(node.id, node)
        if conversions.is_averaged(node):
            node.op = node.op.with_form(ROW)
        node.layout = conversions.choose(node, given) if first is node else first.layout
        if conversions.is_read_as_grid(node) if first is node else KEPT in first.op.forms:
            node.op = node.op.with_form(KEPT)
        sources = [conversions.before(node, i) for i in node.inputs]
        if sources != list(before):
            reconnect(network, node, sources)
        given[node.id] = node.op.output_layout(node.layout)
        region = node.region.top
        if node.id == region.exit and isinstance(region, Featured) and given[node.id] == CHANNELS_LAST:
            conversions.give_out(node)
    conversions.give_out_again()
    conversions.end()
    return sum(isinstance(node.layer, convert.Convert) for node in network.all_nodes())


class Twins:
    """Layers and blocks that share a module, which are in the same layouts.

    `of` gives the first use of each layer that is applied once more, `first` that of each such block.
    """

    def __init__(self, network: OpNetwork) -> None:
        self.of: dict[int, OpNode] = {}
        self.first: dict[Block, Block] = {}
        self.layouts: dict[tuple[Block, int], str] = {}  # of the values that enter the first uses, by their numbers
        self._numbers: dict[Block, dict[int, int]] = {}
        for region in walk(network.regions):
            nodes = [network.node(item) for item in region.items if isinstance(item, int)]
            by_name = {node.label: node for node in nodes}
            self.of.update((node.id, by_name[node.shares]) for node in nodes if node.shares)
            blocks = {item.label: item for item in region.items if isinstance(item, Block)}
            for block in (b for b in blocks.values() if b.shares):
                self.first[block] = first = blocks[block.shares]
                pairs = zip(block.nodes(), first.nodes(), strict=True)
                self.of.update((number, network.node(other)) for number, other in pairs)
        self._firsts = set(self.first.values())

    def blocks_around(self, node: OpNode, outermost: Region) -> list[Block]:
        """Return the blocks around a layer that share a module, up to a region, the outermost first."""
        found: list[Block] = []
        for region in around(node.region):
            if isinstance(region, Block) and (region.shares or region in self._firsts):
                found.insert(0, region)
            if region is outermost:
                break
        return found

    def number(self, block: Block, source: int) -> int:
        """Return the number of a value among those that enter a block, in the order of their first use."""
        numbers = self._numbers.setdefault(block, {})
        return numbers.setdefault(source, len(numbers))


class _Conversions:
    """The layout of every value so far, and the conversions inserted."""

    def __init__(self, network: OpNetwork) -> None:
        self.network = network
        inputs = ((number, network.node(number).layer) for number in network.inputs.values())
        self.given: dict[int, str] = {n: VECTOR if layer.argument_axes == ("C",) else GRID for n, layer in inputs}
        self.outside: dict[int, int] = {}  # the output of a part -> its conversion to channels-first
        self.entered: dict[tuple[int, Region], int] = {}  # (value, region) -> the value that the region reads instead
        self.converted: dict[tuple[int, str, Region | str], int] = {}  # before a layer of a region, by layout
        self.origins: dict[int, int] = {}  # of conversions: what was converted first
        self.opened: set[Part] = opened(network)  # their layers read values of the forward pass itself
        self.twins = Twins(network)
        self.turned: dict[tuple[int, Region], int] = {}  # the same, of what a block reads that shares its module
        grids = grids_by_clip(network)
        self.vectors = {n for n, x in grids.items() if x.is_vector and all(type(size) is int for size in x.size)}

    def choose(self, node: OpNode, given: Mapping[int, str]) -> str:
        """Return the first layout among the inputs that the op accepts, or else the op's first choice for the shape."""
        accepted = self._accepted(node)
        present = [given[i] for i in node.inputs if given[i] in accepted]
        return present[0] if present else accepted[0]

    def _accepted(self, node: OpNode) -> list[str]:
        """Return the layouts of inputs that an op accepts here; a vector has one position for clips of any size."""
        if any(s.token for s in node.input_shapes):
            return [TOKENS]
        accepted = [x for x in node.op.accepted_layouts if x != TOKENS]
        return [x for x in accepted if x != VECTOR or self.vectors.issuperset(node.inputs)]

    def _accepted_of(self, node: OpNode, source: int) -> list[str]:
        """Return the layouts in which an op accepts one of its inputs; beside tokens, a plain grid is channels-last."""
        accepted = self._accepted(node)
        plain = accepted == [TOKENS] and not self.network.node(source).shape.token
        return [CHANNELS_LAST] if plain else accepted

    def is_read_as_grid(self, node: OpNode) -> bool:
        """Return True if a vector could also stay a grid of one position, and each of its readers needs one."""
        readers = [self.network.node(n) for n in self.network.graph.successors(node.id)]
        return KEPT in node.op.other_forms() and bool(readers) and not any(VECTOR in self._accepted(r) for r in readers)

    def is_averaged(self, node: OpNode) -> bool:
        """Return True if tokens are selected for a mean over all of them alone, which needs no grid."""
        readers = [self.network.node(n) for n in self.network.graph.successors(node.id)]
        can = ROW in node.op.other_forms() and len(readers) == 1
        return can and readers[0].region is node.region and ROW in readers[0].op.accepted_layouts

    def entering(self, node: OpNode, source: int) -> int:
        """Return the value that the entered region reads for an input, the same for all layers inside."""
        if self.network.node(source).layer.by_name:
            return source
        place, child = _border(self.network.node(source).region, node.region)
        if child is None:
            return source
        if (source, child) not in self.entered:
            alike = isinstance(child, Block) and bool(child.shares)
            self.entered[source, child] = source if alike else self._entering(node, source, place, child)
        return self._alike(self.entered[source, child], node, child)

    def _alike(self, source: int, node: OpNode, child: Region) -> int:
        """Convert a value before a block whose module is that of another, to the layout that the other one reads."""
        for region in self.twins.blocks_around(node, child):
            number = self.twins.number(region, source)
            if not region.shares:
                self.twins.layouts[region, number] = self.given[source]
                continue
            wanted = self.twins.layouts[self.twins.first[region], number]
            if self.given[source] != wanted and (source, region) not in self.turned:
                made = self._convert(source, wanted, region.parent, _index(region.parent, region))
                _see(region, source, made)
                self.turned[source, region] = made
            source = self.turned.get((source, region), source)
        return source

    def _entering(self, node: OpNode, source: int, place: Region | None, child: Region) -> int:
        """Choose between both layouts of a part's output; convert before a region that is channels-last inside."""
        accepted = self._accepted_of(node, source)
        deep = node.region is not child.top and isinstance(child, Block | Stage)
        turns = self._turns_first(child, source)
        wants = turns or (CHANNELS_LAST in accepted and GRID not in accepted)
        if deep and wants and self.given[source] == GRID and self._keeps(child, source, CHANNELS_LAST):
            return self._converted_before(source, place, child)
        if not turns and source in self.outside and self.given[source] not in accepted:
            _see(child, source, self.outside[source])
            return self.outside[source]
        return source

    def _converted_before(self, source: int, place: Region | None, child: Region) -> int:
        """Convert a value before a region, or inside at its start, if it is a block in a row, which has blocks only."""
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

    def _turns_first(self, region: Region, source: int) -> bool:
        """Return True for a row of blocks that go on channels-last, so that the first would be unlike the others."""
        blocks = stage_row(region) or []
        return len(blocks) > 1 and blocks[0].entry == source and not self._keeps(blocks[0], source, GRID)

    def _keeps(self, region: Region, source: int, layout: str) -> bool:
        """Return True if a region that reads `source` in a layout returns its output in the same layout."""
        given = {**self.given, source: layout}
        for number in region.nodes():
            node = self.network.node(number)
            if any(i not in given for i in node.inputs):
                return False  # it also reads a value that is not computed yet
            given[number] = node.op.output_layout(self.choose(node, given))
        return given.get(region.exit) == layout

    def give_out(self, node: OpNode) -> None:
        """Also convert the output of a part to channels-first."""
        self.outside[node.id] = self.behind(node, GRID)

    def give_out_again(self) -> None:
        """Do the same for parts without layers, whose output is their input."""
        for region in list(self.network.regions):
            idle = isinstance(region, Featured) and not region.items
            if idle and self.given[region.exit] == CHANNELS_LAST and region.exit not in self.outside:
                self.outside[region.exit] = self._beside(region.exit, GRID, region, 1)

    def before(self, node: OpNode, source: int) -> int:
        """Return an input in the node's layout, converted if needed; beside tokens, a plain grid is channels-last."""
        if self.network.node(source).layer.by_name:
            return source
        given = self.network.node(source).shape
        wanted = CHANNELS_LAST if node.layout == TOKENS and not given.token else node.layout
        if self.given[source] == wanted:
            return source
        place: Region | str = node.region
        if node.region in self.opened:
            source = self.origins.get(source, source)
            there = source if self.given[source] == wanted else self.outside.get(source)
            if there is not None and self.given[there] == wanted:
                return there
            place = "head" if node.region.top.stage == "head" else "stages"  # each a function, which converts it once
        key = source, wanted, place
        if key not in self.converted:
            self.converted[key] = self._in_shortcut(node, source, wanted) or self._convert(
                source, wanted, node.region, node.region.items.index(node.id)
            )
        return self.converted[key]

    def _in_shortcut(self, node: OpNode, source: int, wanted: str) -> int | None:
        """Convert the output of a shortcut at its end, if it has layers and a node alone reads it; else return None."""
        region = self.network.node(source).region
        is_its = isinstance(region, Shortcut) and region.parent is node.region and region.exit == source
        if not is_its or list(self.network.graph.successors(source)) != [node.id]:
            return None
        region.exit = self._convert(source, wanted, region, len(region.items))
        return region.exit

    def behind(self, node: OpNode, layout: str) -> int:
        """Insert a conversion of a part's output, in a region of its own after that part."""
        return self._beside(node.id, layout, node.region.top, 1)

    def _beside(self, source: int, layout: str, part: Part | InputPlace, place: int) -> int:
        """Insert a conversion in a region of its own, before a part (`place` is 0) or after it (1)."""
        made = Conversion(path=part.path, stage=part.stage, entry=source)
        made.exit = self._convert(source, layout, made, 0)
        at = next(i for i, other in enumerate(self.network.regions) if other is part)
        self.network.regions.insert(at + place, made)
        return made.exit

    def end(self) -> None:
        """Convert the outputs of the module to the layouts in which it returns them; tokens stay."""
        self.network.outputs = {name: self._given_out(output) for name, output in self.network.outputs.items()}

    def _given_out(self, output: int) -> int:
        output = self.outside.get(output, output)
        node = self.network.node(output)
        wanted = layout_of_output(self.network, output)
        if self.given[output] == wanted:
            return output
        last = node.region.top if node.inputs else self.network.regions[-1]  # a clip lies in no part of the network
        if isinstance(last, Head) and last.exit == output and row_of_blocks(last) is None:
            last.exit = self._convert(output, wanted, last, len(last.items))
            return last.exit
        return self._beside(output, wanted, last, 1)

    def _convert(self, source: int, layout: str, region: Region, place: int) -> int:
        given = self.network.node(source)
        number, shape = new_number(self.network), given.shape
        layer = convert.Convert(after=layout)
        op = op_of(layer, (shape,), shape)
        node = OpNode(number, layer, (source,), (shape,), shape, region, given.span, "convert", op=op)
        node.layout = self.given[source]
        insert(self.network, node, place)
        self.given[number] = layout
        self.origins[number] = self.origins.get(source, source)
        self.vectors |= {number} if source in self.vectors else set()
        return number


def layout_of_output(network: Network, output: int) -> str:
    """Return the layout in which a module returns an output."""
    return TOKENS if network.node(output).shape.token else _GIVEN_OUT[output_axes(network, output)]


def _see(region: Region, source: int, made: int) -> None:
    """Make a region and all regions inside read `made` in place of `source`."""
    for inner in walk([region]):
        if not isinstance(inner, Stage):  # a stage may also return its input, in the original layout
            inner.redirect(lambda value: made if value == source else value)


def _border(source: Region, user: Region) -> tuple[Region | None, Region | None]:
    """Return the innermost region that contains both, and its child that contains only the user; None for neither."""
    above = set(around(source))
    child: Region | None = None
    for region in around(user):
        if region in above:
            return region, child
        child = region
    return None, child


def _index(region: Region, child: Region) -> int:
    return next(i for i, item in enumerate(region.items) if item is child)
