"""A network cut into the boxes of a diagram: stages, blocks, or layers in stacks, with frames around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from archdsl.ir.regions import Block
from archdsl.targets.dot.copies import Copies
from archdsl.targets.dot.figures import Figures
from archdsl.targets.dot.fold import Item, Run, flattened, nodes_of, runs
from archdsl.targets.dot.opened import Opened, beside, stacks_of
from archdsl.targets.dot.settings import settings_of
from archdsl.targets.dot.style import identifier, layer_text
from archdsl.targets.dot.summaries import DETAILED, summary
from archdsl.targets.dot.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.network import Network
    from archdsl.layers.interior import Cell, Interior


@dataclass(eq=False)
class Box:
    """A box of the diagram, for the layers in `nodes`. A stack shows each of them as a cell."""

    id: str
    nodes: list[int]
    title: str = ""
    parts: list[str] = field(default_factory=list[str])
    chain: bool = True  # `parts` are the layers or blocks inside, not the block's arguments
    above: str = ""  # name of the stage, if the box is the whole stage
    count: int = 1
    look: str = "box"  # or "stack", "merge", "input", "bare"
    block: Block | None = None  # whose settings are shown
    of: Block | None = None  # the block that it is
    settings: dict[str, str] = field(default_factory=dict[str, str])  # of the block, which `parts` list
    cells: Sequence[Cell] = ()  # what a stack shows instead of `nodes`: steps inside of one layer
    beside: bool = False  # other boxes of this layer stand beside it


@dataclass(eq=False)
class Frame:
    """A frame around boxes and frames. `entry` is the value that enters at its title, or -1 where several enter."""

    id: str
    title: str
    items: list[Box | Frame]
    kind: str  # "lane", "stage", "block", "repeat" or "layer", which is opened
    nodes: list[int]
    entry: int = -1
    count: int = 1
    above: str = ""  # name of the stage, if the frame is the whole stage
    parts: list[str] = field(default_factory=list[str])  # settings that all its boxes share
    opened: int = -1  # the layer that the frame is, if it is one
    of: Block | None = None  # the block that it is

    @property
    def first(self) -> str:
        """Return the id of the first drawn node."""
        return self.id if self.entry >= 0 else first_id(self.items)


def first_id(items: Sequence[Box | Frame]) -> str:
    """Return the id of the first drawn node of a row."""
    return items[0].first if isinstance(items[0], Frame) else items[0].id


def last_id(items: Sequence[Box | Frame]) -> str:
    """Return the id of the last drawn node of a row."""
    return last_id(items[-1].items) if isinstance(items[-1], Frame) else items[-1].id


class Boxes:
    """Builder of boxes and frames from the items of regions; records which box draws which layer."""

    def __init__(self, network: Network, level: str, prefix: str = "") -> None:
        self.network, self.level = network, level
        self.prefix = prefix  # of all ids, where two networks are in one diagram
        self.home: dict[int, Box] = {}
        self.frames: dict[int, list[Frame]] = {}  # enclosing frames of each layer, the outermost first
        self.copies = Copies(network)
        self.weights = Weights(network)
        self.opened: dict[int, Opened] = {}  # drawn layers with the graph inside of them
        self._ids: set[str] = set()
        self.figures = Figures(network, self.copies)
        self._inside = 0  # how many frames of blocks are around what is being made

    # --- making ---

    def row(self, name: str, title: str, items: Sequence[Item]) -> list[Box | Frame]:
        """Return the boxes and frames of one stage on one path."""
        flat = list(flattened(items))
        nodes = nodes_of(flat)
        if self.level == "stage":
            parts, chain = summary(self.network, flat, self.weights)
            return [self._box(Box(self.unique(name), nodes, parts=parts, chain=chain, above=title))]
        inner = self._blocks(flat) if self.level == "block" else self._layers(flat)
        if not title:
            return inner
        if len(inner) == 1 and isinstance(box := inner[0], Box):
            box.above = title
            return [box]
        if len(inner) == 1 and isinstance(frame := inner[0], Frame) and frame.kind == "block":
            frame.above, frame.kind = title, "stage"
            return [frame]
        if len(inner) == 1 and isinstance(frame := inner[0], Frame) and frame.kind == "layer" and not frame.above:
            frame.above = title
            return [frame]
        return [self._frame(Frame(self.unique(name), title, inner, "stage", nodes))]

    def single(self, name: str, node: int, look: str, title: str = "") -> Box:
        """Return a box for one layer, drawn as `look`."""
        return self._box(Box(self.unique(name), [node], title, look=look))

    def unique(self, name: str) -> str:
        """Return an unused id that begins with `name`."""
        wanted = self.prefix + (identifier(name) or "box")
        result, number = wanted, 1
        while result in self._ids:
            number += 1
            result = f"{wanted}_{number}"
        self._ids.add(result)
        return result

    def lane(self, name: str, items: list[Box | Frame], nodes: list[int], entry: int) -> Frame:
        """Return the frame of a path around its boxes."""
        frame = Frame(self.unique(f"{name}.path"), name, items, "lane", nodes, entry)
        for n in nodes:
            self.frames.setdefault(n, []).insert(0, frame)
        return frame

    def _box(self, box: Box) -> Box:
        for n in box.nodes:
            self.home[n] = box
        return box

    def _frame(self, frame: Frame) -> Frame:
        inside = set(frame.nodes)
        outer = {u for n in frame.nodes for u in self.network.node(n).inputs if u not in inside}
        frame.entry = outer.pop() if len(outer) == 1 else -1
        for n in frame.nodes:
            self.frames.setdefault(n, []).insert(0, frame)
        return frame

    def _blocks(self, items: list[Item]) -> list[Box | Frame]:
        result: list[Box | Frame] = []
        for blocks, group in groupby(runs(self.network, items), lambda r: r.times > 1 or isinstance(r.items[0], Block)):
            if not blocks:
                result += self._stacks([item for run in group for item in run.items if isinstance(item, int)])
                continue
            for run in group:
                self.copies.note(run)
                if len(run.items) > 1 or not isinstance(block := run.items[0], Block):
                    result.append(self._repeat(run, self._blocks(run.items)))
                elif self._is_composite(block):
                    result.append(self._block_frame(block, run))
                else:
                    result.append(self._block_box(block, run))
        return result

    def _is_composite(self, block: Block) -> bool:
        """Return True if all weights of a block are in blocks inside of it, which are drawn then."""
        inside = list(flattened(block.items))
        own = [self.network.node(i) for i in inside if isinstance(i, int)]
        return len(own) < len(inside) and len(inside) > 1 and not any(node.is_module for node in own)

    def _block_frame(self, block: Block, run: Run) -> Frame:
        self._inside += 1
        inner = self._blocks(list(flattened(block.items)))
        self._inside -= 1
        name = self.unique(block.name or block.title)
        return self._frame(Frame(name, block.title, inner, "block", run.copies[0], count=run.times, of=block))

    def _block_box(self, block: Block, run: Run) -> Box:
        inside = list(flattened(block.items))
        settings = settings_of(self.network, block, [copy[0] for copy in run.copies])
        brief = not settings or (len(inside) <= DETAILED and not self._inside)
        box = Box(self.unique(block.name), run.copies[0], block.title, chain=brief, count=run.times, of=block)
        if brief:
            box.parts, box.chain = summary(self.network, inside, self.weights)
        else:
            box.block = block
        return self._box(box)

    def _layers(self, items: list[Item]) -> list[Box | Frame]:
        result: list[Box | Frame] = []
        for plain, group in groupby(runs(self.network, items), lambda r: r.times == 1 and isinstance(r.items[0], int)):
            if plain:
                result += self._stacks([item for run in group for item in run.items if isinstance(item, int)])
                continue
            for run in group:
                self.copies.note(run)
                result.append(self._layer_frame(run))
        return result

    def _layer_frame(self, run: Run) -> Box | Frame:
        if len(run.items) > 1 or not isinstance(block := run.items[0], Block):
            return self._repeat(run, self._layers(run.items))
        inner = self._layers(list(flattened(block.items)))
        name = block.name or block.title
        if len(inner) == 1 and isinstance(box := inner[0], Box):
            box.title, box.count, box.of = block.title, run.times, block
            return box
        if len(inner) == 1 and isinstance(frame := inner[0], Frame) and frame.kind == "layer" and run.times == 1:
            frame.above, frame.of = block.title, block
            return frame
        count = run.times
        return self._frame(Frame(self.unique(name), block.title, inner, "block", run.copies[0], count=count, of=block))

    def _repeat(self, run: Run, inner: list[Box | Frame]) -> Frame:
        name = f"{self.network.node(run.copies[0][0]).name}.repeat"
        return self._frame(Frame(self.unique(name), "", inner, "repeat", run.copies[0], count=run.times))

    def _stacks(self, numbers: list[int]) -> list[Box | Frame]:
        """Return stacks of layers; at the level of layers, those with a graph inside are opened."""
        result: list[Box | Frame] = []
        for stack, interior in stacks_of(self.network, numbers, opens=self.level == "layer"):
            if interior is None:
                result.append(self._box(Box(self.unique(self.network.node(stack[0]).name), stack, look="stack")))
            else:
                result.append(self._open(stack[0], interior))
        return result

    def _open(self, number: int, interior: Interior) -> Frame:
        """Return the frame of a layer around the boxes of what is inside; the last one gives its output."""
        name = self.network.node(number).name
        own, title = self.unique(name), layer_text(interior.title)
        parts = interior.parts
        boxes = [
            Box(self.unique(f"{name}.{part.name}"), [number], part.title, cells=part.cells, beside=is_beside)
            for part, is_beside in zip(parts, beside(parts), strict=True)
        ]
        for box in boxes:
            box.look = "stack" if box.cells else "bare"
        self.opened[number] = Opened(interior, [box.id for box in boxes])
        self.home[number] = boxes[-1]
        return self._frame(Frame(own, title, list(boxes), "layer", [number], opened=number))

    def readers(self, number: int, index: int) -> list[str]:
        """Return the ids of the boxes that read an input of a drawn layer."""
        opened = self.opened.get(number)
        return [self.home[number].id] if opened is None else opened.readers.get(index, [])

    # --- afterwards ---

    def complete(self) -> list[Box]:
        """Fill in the settings of blocks, when all folds are known, and return all boxes."""
        boxes = list(dict.fromkeys(self.home.values()))
        for box in boxes:
            if box.block is not None:
                box.settings = settings_of(self.network, box.block, self.copies.represented[box.nodes[0]])
                box.parts = list(box.settings.values())
        return boxes

    def home_of(self, number: int) -> Box:
        """Return the box that draws a layer, or its counterpart in the first copy of a run."""
        return self.home[self.copies.drawn(number)]
