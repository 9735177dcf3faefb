"""A network cut into the boxes of a diagram: stages, blocks, or layers in stacks, with frames around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from archdsl.analysis.cost import Cost, node_cost
from archdsl.core.values import describe
from archdsl.ir.regions import Block
from archdsl.targets.dot.fold import Item, Run, flattened, nodes_of, runs
from archdsl.targets.dot.style import identifier, layer_text, value_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archdsl.ir.network import Network

DETAILED = 5  # up to so many layers are described with their attributes
SUMMARY_DEPTH = 3  # levels of single blocks that a summary unwraps


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
    look: str = "box"  # or "stack", "merge", "input"


@dataclass(eq=False)
class Frame:
    """A frame around boxes and frames. `entry` is the value that enters at its title, or -1 where several enter."""

    id: str
    title: str
    items: list[Box | Frame]
    kind: str  # "lane", "stage", "block" or "repeat"
    nodes: list[int]
    entry: int = -1
    count: int = 1
    above: str = ""  # name of the stage, if the frame is the whole stage

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
        self.network = network
        self.level = level
        self.prefix = prefix  # of all ids, where two networks are in one diagram
        self.home: dict[int, Box] = {}
        self.frames: dict[int, list[Frame]] = {}  # enclosing frames of each layer, the outermost first
        self.varying: set[int] = set()  # drawn layers whose attributes differ between the folded copies
        self._drawn: dict[int, int] = {}  # a folded layer -> the one in the first copy
        self._copy: dict[int, list[tuple[int, int]]] = {}  # the runs of a layer, with the index of its copy in each
        self._ids: set[str] = set()
        self._runs = 0

    # --- making ---

    def row(self, name: str, title: str, items: Sequence[Item]) -> list[Box | Frame]:
        """Return the boxes and frames of one stage on one path."""
        flat = list(flattened(items))
        nodes = nodes_of(flat)
        if self.level == "stage":
            return [self._box(Box(self.unique(name), nodes, parts=self._summary(flat), above=title))]
        inner = self._blocks(flat) if self.level == "block" else self._layers(flat)
        if not title:
            return inner
        if len(inner) == 1 and isinstance(box := inner[0], Box):
            box.above = title
            return [box]
        if len(inner) == 1 and isinstance(frame := inner[0], Frame) and frame.kind == "block":
            frame.above, frame.kind = title, "stage"
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
                self._note(run)
                if len(run.items) == 1 and isinstance(block := run.items[0], Block):
                    result.append(self._block_box(block, run))
                else:
                    result.append(self._repeat(run, self._blocks(run.items)))
        return result

    def _block_box(self, block: Block, run: Run) -> Box:
        inside = list(flattened(block.items))
        values, defaults = block.arguments.values, block.arguments.defaults
        shown = {k: v for k, v in values.items() if k not in defaults and not _is_usual(block, k, v)}
        brief = len(inside) <= DETAILED or not shown
        inner = self._summary(inside) if brief else [f"{k} {value_text(v)}" for k, v in shown.items()]
        return self._box(Box(self.unique(block.name), run.copies[0], block.title, inner, brief, count=run.times))

    def _layers(self, items: list[Item]) -> list[Box | Frame]:
        result: list[Box | Frame] = []
        for plain, group in groupby(runs(self.network, items), lambda r: r.times == 1 and isinstance(r.items[0], int)):
            if plain:
                result += self._stacks([item for run in group for item in run.items if isinstance(item, int)])
                continue
            for run in group:
                self._note(run)
                result.append(self._layer_frame(run))
        return result

    def _layer_frame(self, run: Run) -> Box | Frame:
        if len(run.items) > 1 or not isinstance(block := run.items[0], Block):
            return self._repeat(run, self._layers(run.items))
        inner = self._layers(list(flattened(block.items)))
        name = block.name or block.title
        if len(inner) == 1 and isinstance(box := inner[0], Box):
            box.title, box.count = block.title, run.times
            return box
        return self._frame(Frame(self.unique(name), block.title, inner, "block", run.copies[0], count=run.times))

    def _repeat(self, run: Run, inner: list[Box | Frame]) -> Frame:
        name = f"{self.network.node(run.copies[0][0]).name}.repeat"
        return self._frame(Frame(self.unique(name), "", inner, "repeat", run.copies[0], count=run.times))

    def _stacks(self, numbers: list[int]) -> list[Box | Frame]:
        """Group layers into stacks: a layer, and the elementwise layers after it that keep its shape."""
        stacks: list[list[int]] = []
        for n in numbers:
            if stacks and self._joins(stacks[-1][-1], n):
                stacks[-1].append(n)
            else:
                stacks.append([n])
        return [self._box(Box(self.unique(self.network.node(s[0]).name), s, look="stack")) for s in stacks]

    def _joins(self, before: int, number: int) -> bool:
        node = self.network.node(number)
        only = node.inputs == (before,) and self.network.graph.out_degree(before) == 1
        return only and not node.layer.heavy and str(node.shape) == str(node.input_shapes[0])

    def _summary(self, items: list[Item]) -> list[str]:
        """Return the content of a box, such as `bottleneck ×6` or the layers one by one."""
        for _ in range(SUMMARY_DEPTH):
            if len(items) != 1 or not isinstance(only := items[0], Block):
                break
            inner = list(flattened(only.items))
            if not self._is_chain(inner):
                break
            items = inner
        detailed = len(items) <= DETAILED
        parts: list[str] = []
        for title, group in groupby(items, lambda i: self._title(i, detailed=detailed)):
            count = len(list(group))
            parts.append(f"{title} ×{count}" if count > 1 else title)
        return parts

    def _is_chain(self, items: list[Item]) -> bool:
        return all(isinstance(i, Block) or len(self.network.node(i).inputs) == 1 for i in items)

    def _title(self, item: Item, *, detailed: bool) -> str:
        if isinstance(item, Block):
            return item.title
        layer = self.network.node(item).layer
        return layer_text(layer, settings=detailed and (layer.heavy or layer.category == "sampling"))

    # --- folding ---

    def _note(self, run: Run) -> None:
        """Record the layer of the first copy that is drawn for each layer of the other copies."""
        if run.times == 1:
            return
        self._runs += 1
        for index, copy in enumerate(run.copies):
            for first, n in zip(run.copies[0], copy, strict=True):
                self._copy.setdefault(n, []).append((self._runs, index))
                if index:
                    self._drawn[n] = first
                    if str(self.network.node(n).layer.values()) != str(self.network.node(first).layer.values()):
                        self.varying.add(first)

    def drawn(self, number: int) -> int:
        """Return the layer that is drawn for this one: itself, or its counterpart in the first copy of a run."""
        while number in self._drawn:
            number = self._drawn[number]
        return number

    def folded_away(self, source: int, target: int) -> bool:
        """Return True if an edge is between two copies of a run, or inside a copy that is not drawn."""
        copies = dict(self._copy.get(source, ()))
        return any(run in copies and (index or copies[run]) for run, index in self._copy.get(target, ()))

    # --- figures ---

    def cost(self, nodes: Iterable[int]) -> Cost:
        """Return the total cost of some layers."""
        return sum((node_cost(self.network.node(n)) for n in nodes), Cost())

    def category(self, nodes: Sequence[int]) -> str:
        """Return the category of a box: attention if any, else that of most multiply-adds, parameters, or layers."""
        totals: dict[str, tuple[int, int, int]] = {}
        for n in nodes:
            node = self.network.node(n)
            macs, params, number = totals.get(node.layer.category, (0, 0, 0))
            cost = node_cost(node)
            totals[node.layer.category] = macs + cost.macs, params + cost.params, number + 1
        if "attention" in totals:
            return "attention"
        return max(totals, key=lambda c: totals[c]) if totals else ""


def _is_usual(block: Block, name: str, value: Any) -> bool:
    """Return True if the argument of a block equals the default of its parameter."""
    parameter = next((p for p in block.signature.parameters if p.name == name), None)
    if parameter is None or parameter.default is None:
        return False
    if parameter.number is not None:
        return parameter.number == value
    if parameter.default in block.arguments.values:
        return block.arguments.values[parameter.default] == value
    return parameter.default == describe(value).strip("`")
