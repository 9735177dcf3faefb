"""Layout of a diagram: boxes in a grid whose lanes are paths and whose rows are stages and laterals, and edges."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archdsl.ir.regions import Conversion, Fusion, Head, Lateral, OnPath, PathStart, Shortcut, Stage
from archdsl.layers.base import CHANNELS
from archdsl.targets.dot.boxes import Box, Boxes
from archdsl.targets.dot.common import share_settings
from archdsl.targets.dot.fold import flattened, nodes_of
from archdsl.targets.dot.look import is_chosen
from archdsl.targets.dot.style import shape_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from archdsl.ir.network import Network, Node
    from archdsl.ir.regions import InputPlace, Part
    from archdsl.targets.dot.boxes import Frame
    from archdsl.targets.dot.fold import Item


@dataclass(eq=False)
class Cell:
    """The boxes of a part in its row: on a lane, between two lanes (`lane` is a half), or below all (None)."""

    part: Part
    row: int
    lane: float | None
    items: list[Box | Frame]
    nodes: list[int]


@dataclass(frozen=True)
class Edge:
    """An edge between two drawn nodes."""

    source: str
    target: str
    label: str = ""
    main: bool = True  # not a shortcut, nor a further branch
    arrow: bool = True
    top: bool = False  # leads to a shortcut, which is drawn as high as possible
    aside: bool = False  # of an input that layers refer to by name, such as a mask


@dataclass(eq=False)
class Joint:
    """A point on a lane where a lateral branches off."""

    id: str
    value: int
    row: int
    lane: int


@dataclass(eq=False)
class Layout:
    """The elements of a diagram."""

    boxes: Boxes
    lanes: list[Frame]
    inputs: list[Box]
    cells: list[Cell]
    joints: list[Joint]
    outputs: list[Box] = field(default_factory=list["Box"])
    edges: list[Edge] = field(default_factory=list[Edge])
    notes: list[str] = field(default_factory=list[str])  # settings that all boxes of a block share


def lay_out(network: Network, level: str, prefix: str = "", only: Sequence[str] = ()) -> Layout:
    """Divide a network, or `only` some stages, into boxes, whose ids begin with `prefix`, in rows and lanes.

    Raises:
        ValueError: if there is no such stage.
    """
    parts = _kept(network, only)
    boxes = Boxes(network, level, prefix)
    inputs = [boxes.single(name, node, "input", name) for name, node in network.inputs.items()] if not only else []
    inputs += _entries(network, boxes, parts) if only else []
    lanes = _lanes(parts)
    placer = _Placer(network, boxes, lanes, parts)
    cells = placer.cells()
    entering = {n for box in inputs for n in box.nodes} if len(lanes) > 1 else set[int]()
    frames = [
        _lane(network, boxes, name, [c for c in cells if c.lane == lane], entering) for lane, name in enumerate(lanes)
    ]
    layout = Layout(boxes, frames, inputs, cells, placer.joints)
    layout.notes = share_settings([i for c in cells for i in c.items], boxes.complete())
    layout.edges = _Edges(network, layout, placer.row_of).all()
    _add_outputs(network, layout)
    return layout


def _kept(network: Network, only: Sequence[str]) -> list[Part]:
    """Return the parts to draw: all of them, or those of some stages."""
    if not only:
        return network.regions
    parts = [part for part in network.regions if any(part.nodes())]
    names = list(dict.fromkeys(p.stage for p in parts if isinstance(p, Stage | Head)))
    heads = {p.name: p.stage for p in parts if isinstance(p, Head) and p.own}
    for name in only:
        if name not in names and name not in heads:
            message = f"only = {name!r}: not a stage of {network.name}; there are {', '.join([*names, *heads])}"
            raise ValueError(message)
    stages = {heads.get(name, name) for name in only}
    places = sorted(map(names.index, stages))
    left_out = [n for n in names[places[0] : places[-1]] if n not in stages]
    if left_out:
        message = (
            f"only = {', '.join(only)}: {', '.join(left_out)} between them is left out; draw it, too, or each alone"
        )
        raise ValueError(message)
    return [part for part in parts if is_chosen(part, only)]


def _entries(network: Network, boxes: Boxes, parts: Sequence[Part]) -> list[Box]:
    """Return a box without a border for each value that enters the parts, with the name of what it comes from."""
    inside = {n for part in parts for n in part.nodes()}
    values = dict.fromkeys(u for n in sorted(inside) for u in network.node(n).inputs if u not in inside)
    return [boxes.single(f"from.{_part_name(network, n)}", n, "bare", _part_name(network, n)) for n in values]


def _part_name(network: Network, number: int) -> str:
    node = network.node(number)
    return node.region.top.title or node.region.top.name or node.label


def _add_outputs(network: Network, layout: Layout) -> None:
    """Add a box without a border for the output, or for what reads the values of the drawn stage."""
    boxes, found = layout.boxes, dict[str, Box]()
    drawn = {n for cell in layout.cells for n in cell.nodes}
    for n in sorted(drawn):
        readers = [v for v in network.graph.successors(n) if v not in drawn]
        outputs = [name for name, output in network.output_names.items() if output == n]
        names = [_part_name(network, v) for v in readers] + outputs
        for name in dict.fromkeys(names):
            if name not in found:
                found[name] = Box(boxes.unique(name if name in outputs else f"to.{name}"), [], name, look="bare")
                layout.outputs.append(found[name])
            joints = [j.id for j in layout.joints if j.value == n]
            source = joints[-1] if joints else boxes.home_of(n).id
            layout.edges.append(Edge(source, found[name].id, shape_text(network.node(n).shape)))


def _lanes(parts: Sequence[Part]) -> list[str]:
    """Return the paths with layers, in the order in which they begin."""
    places = [u for u in parts if isinstance(u, OnPath)]
    filled = {u.path for u in places if any(u.nodes())}
    return [p for p in dict.fromkeys(u.path for u in places) if p in filled]


def _lane(network: Network, boxes: Boxes, name: str, cells: list[Cell], entering: Collection[int]) -> Frame:
    """Return the frame of a path; its input enters at the frame's title, if it is one of `entering`."""
    nodes = [n for c in cells for n in c.nodes]
    first = min(nodes, default=-1)
    inputs = network.node(first).inputs if first >= 0 else ()
    entry = inputs[0] if len(inputs) == 1 and inputs[0] in entering else -1
    return boxes.lane(name, [i for c in cells for i in c.items], nodes, entry)


class _Placer:
    """Assigns a row and a lane to each part."""

    def __init__(self, network: Network, boxes: Boxes, lanes: list[str], parts: Sequence[Part]) -> None:
        self.network = network
        self.boxes = boxes
        self.lanes = lanes
        self.regions = parts
        self.joints: list[Joint] = []
        self.row_of: dict[int, int] = {}  # of each layer
        self._parts = list(self._divided())
        first = {
            key: min(n for k, _, items in self._parts if k == key for n in nodes_of(items)) for key, *_ in self._parts
        }
        self._rows = {key: row for row, key in enumerate(sorted(first, key=lambda k: first[k]), start=1)}

    def cells(self) -> list[Cell]:
        """Return the cells, in the order of data flow."""
        cells = [self._cell(key, region, items) for key, region, items in self._parts]
        return sorted(cells, key=lambda c: c.row)

    def _divided(self) -> Iterator[tuple[tuple[str, ...], Part, list[Item]]]:
        """Yield the key, the part and the items of each row; a stage split by its lateral takes several rows."""
        fused: dict[str, list[int]] = {}
        for part in self.regions:
            if isinstance(part, Fusion):
                fused.setdefault(part.stage, []).extend(part.nodes())
        seen = Counter[type]()
        for part in self.regions:
            items = list(flattened(part.items))
            if isinstance(part, Stage):
                for above, inside in _split(items, fused.get(part.stage, [])).items():
                    yield ("stage", part.stage, str(above)), part, inside
            elif items:
                yield _row_key(part, seen), part, items
            seen[type(part)] += 1

    def _cell(self, key: tuple[str, ...], part: Part, items: list[Item]) -> Cell:
        row = self._rows[key]
        nodes = nodes_of(items)
        self.row_of.update(dict.fromkeys(nodes, row))
        match part:
            case Lateral():
                return self._lateral(part, items, row)
            case Fusion():
                layer = self.network.node(nodes[-1]).layer
                box = self.boxes.single(f"{part.name}.{layer.kind}", nodes[-1], "merge", layer.drawn_as or layer.kind)
                return Cell(part, row, self._lane(part), [box], nodes[-1:])
            case PathStart():
                return Cell(part, row, self._lane(part), self.boxes.row(part.name, "", items), nodes)
            case Stage() | Head() | Conversion():
                return Cell(part, row, self._lane(part), self.boxes.row(part.name, part.title, items), nodes)

    def _lane(self, part: Part) -> float | None:
        if not isinstance(part, Head) and part.path in self.lanes:
            return self.lanes.index(part.path)
        return 0 if len(self.lanes) == 1 else None

    def _lateral(self, part: Lateral, items: list[Item], row: int) -> Cell:
        """Place a lateral between the lanes that it joins, next to the one that it leads to.

        It branches off at a joint, unless it leads back to its own path, or from one without layers.
        """
        target = self.lanes.index(part.target)  # its fusion is on it
        source = self.lanes.index(part.source) if part.source in self.lanes else None
        lane = target + (0.5 if source is None or source > target else -0.5)
        if source is not None and source != target:
            joint = Joint(self.boxes.unique(f"{part.source}.{part.stage}.branch"), part.entry, row, source)
            self.joints.append(joint)
        return Cell(part, row, lane, self.boxes.row(part.name, "", items), nodes_of(items))


def _row_key(part: PathStart | Lateral | Fusion | Head | Conversion, seen: Counter[type]) -> tuple[str, ...]:
    """Return the key of a part's row; `seen` counts the parts of each class before it."""
    match part:
        case PathStart():
            return "path", str(seen[Stage])
        case Lateral() | Fusion():
            return "lateral", str(seen[Fusion])
        case Head() | Conversion():
            return (part.stage,)


def _split(items: Sequence[Item], fusions: Sequence[int]) -> dict[int, list[Item]]:
    """Divide the items of a stage by the number of its fusions that come before them."""
    groups: dict[int, list[Item]] = {}
    for item in items:
        groups.setdefault(sum(n < nodes_of([item])[0] for n in fusions), []).append(item)
    return groups


class _Edges:
    """Routes the network's edges between boxes, through the titles of frames and the joints of laterals."""

    def __init__(self, network: Network, layout: Layout, row_of: dict[int, int]) -> None:
        self.network = network
        self.layout = layout
        self.boxes = layout.boxes
        self.row_of = row_of
        self.below = {n for c in layout.cells if c.lane is None for n in c.nodes}
        self._found: dict[tuple[str, str, str], Edge] = {}

    def all(self) -> list[Edge]:
        """Return the edges between drawn nodes, without duplicates."""
        for node in self.network.all_nodes():
            for index, source in enumerate(node.inputs):
                known = all(self.boxes.copies.drawn(n) in self.boxes.home for n in (source, node.id))
                if known and not self.boxes.copies.folded_away(source, node.id):
                    draw = self._draw_aside if self.network.node(source).layer.by_name else self._draw
                    draw(source, node, index)
        for opened in self.boxes.opened.values():
            for edge in opened.edges:
                self._add(Edge(*edge))
        return list(self._found.values())

    def _draw_aside(self, source: int, target: Node, index: int) -> None:
        """Draw the edges from an input that layers refer to by name."""
        for reader in self.boxes.readers(self.boxes.copies.drawn(target.id), index):
            self._add(Edge(self.boxes.home_of(source).id, reader, self._shape(source), main=False, aside=True))

    def _draw(self, source: int, target: Node, index: int) -> None:
        value, goal = self.boxes.copies.drawn(source), self.boxes.copies.drawn(target.id)
        start, end = self.boxes.home[value], self.boxes.home[goal]
        if start is end:
            return
        at, label = start.id, self._shape(source)
        around = {f.id for f in self.boxes.frames.get(value, ())}
        for joint in self._joints(source, target):
            lane = self.layout.lanes[joint.lane]
            if at == start.id and lane.entry == source:
                self._add(Edge(at, lane.id, label))
                at, label = lane.id, ""
                around.add(lane.id)
            self._add(Edge(at, joint.id, label, arrow=False))
            at, label = joint.id, ""
        for frame in self.boxes.frames.get(goal, ()):
            if frame.id not in around and frame.entry in (source, value):
                self._add(Edge(at, frame.id, label))
                at, label = frame.id, ""
        beside = isinstance(self.network.node(goal).region, Shortcut)
        main = index == 0 and (goal not in self.below or value in self.below)
        main = main and (end.look == "merge" or target.layer.joins != CHANNELS)
        for reader in self.boxes.readers(goal, index):
            self._add(Edge(at, reader, label, main and not beside, top=beside))

    def _shape(self, source: int) -> str:
        """Return the label of a value: its shape; between layers, only where the box that gives it changes it."""
        node = self.network.node(source)
        text = shape_text(node.shape)
        box = self.boxes.home_of(source)
        entering = self.network.node(box.nodes[0]).input_shapes
        if box.look == "stack" and any(shape_text(shape) == text for shape in entering):
            return ""
        return text

    def _joints(self, source: int, target: Node) -> list[Joint]:
        """Return the joints on the way from a value to the layer that reads it, from top to bottom."""
        row = self.row_of.get(target.id, 0)
        part = target.region.top
        return [j for j in self.layout.joints if j.value == source and (j.row < row or self._leaves(j, row, part))]

    def _leaves(self, joint: Joint, row: int, part: Part | InputPlace) -> bool:
        """Return True if a value leaves its lane at the joint."""
        return joint.row == row and (isinstance(part, Lateral) or self.layout.lanes[joint.lane].title != part.path)

    def _add(self, edge: Edge) -> None:
        self._found.setdefault((edge.source, edge.target, edge.label), edge)
