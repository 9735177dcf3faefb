"""Layout of a diagram: boxes in a grid whose lanes are paths and whose rows are stages and laterals, and edges."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archdsl.ir.regions import Conversion, Fusion, Head, Lateral, OnPath, PathStart, Shortcut, Stage
from archdsl.layers.base import CHANNELS, VALUES
from archdsl.targets.dot.boxes import Boxes
from archdsl.targets.dot.fold import flattened, nodes_of
from archdsl.targets.dot.style import shape_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.ir.network import Network, Node
    from archdsl.ir.regions import InputPlace, Part
    from archdsl.targets.dot.boxes import Box, Frame
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
    edges: list[Edge] = field(default_factory=list[Edge])


def lay_out(network: Network, level: str, prefix: str = "") -> Layout:
    """Divide a network into boxes, whose ids begin with `prefix`, and place them in rows and lanes."""
    boxes = Boxes(network, level, prefix)
    inputs = [boxes.single(name, node, "input", name) for name, node in network.inputs.items()]
    lanes = _lanes(network)
    placer = _Placer(network, boxes, lanes)
    cells = placer.cells()
    frames = [_lane(network, boxes, cells, lane, lanes) for lane in range(len(lanes))]
    layout = Layout(boxes, frames, inputs, cells, placer.joints)
    layout.edges = _Edges(network, layout, placer.row_of).all()
    return layout


def _lanes(network: Network) -> list[str]:
    """Return the paths with layers, in the order in which they begin."""
    places = [u for u in network.regions if isinstance(u, OnPath)]
    filled = {u.path for u in places if any(u.nodes())}
    return [p for p in dict.fromkeys(u.path for u in places) if p in filled]


def _lane(network: Network, boxes: Boxes, cells: list[Cell], lane: int, names: list[str]) -> Frame:
    """Return the frame of a path; where there are several paths, its input enters at the frame's title."""
    own = [c for c in cells if c.lane == lane]
    nodes = [n for c in own for n in c.nodes]
    first = min(nodes, default=-1)
    inputs = network.node(first).inputs if first >= 0 and len(names) > 1 else ()
    entry = inputs[0] if len(inputs) == 1 and inputs[0] in network.inputs.values() else -1
    return boxes.lane(names[lane], [i for c in own for i in c.items], nodes, entry)


def trunk(network: Network, rows: list[list[int]]) -> set[int]:
    """Return the layers to align vertically: those that every value passes, and the bodies of residuals."""
    result: set[int] = set()
    for nodes in rows:
        last = {n: max(network.graph.successors(n), default=n) for n in nodes}
        inside = set(nodes)
        entering = {n for n in nodes if not inside.issuperset(network.node(n).inputs)}
        reach = max(entering, default=-1)  # the last layer that reads a value from before this one
        for n in nodes:
            if reach <= n:
                result.add(n)
            reach = max(reach, last[n])
        for n in reversed(nodes):
            followers = [network.node(v) for v in network.graph.successors(n)]
            if len(followers) == 1 and n not in result and followers[0].id in result:
                (v,) = followers
                if len(v.inputs) == 1 or (v.layer.joins == VALUES and v.inputs[0] == n):
                    result.add(n)
    return result


class _Placer:
    """Assigns a row and a lane to each part."""

    def __init__(self, network: Network, boxes: Boxes, lanes: list[str]) -> None:
        self.network = network
        self.boxes = boxes
        self.lanes = lanes
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
        for part in self.network.regions:
            if isinstance(part, Fusion):
                fused.setdefault(part.stage, []).extend(part.nodes())
        seen = Counter[type]()
        for part in self.network.regions:
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
                return Cell(part, row, self._lane(part), self.boxes.row(part.name, part.stage, items), nodes)

    def _lane(self, part: Part) -> float | None:
        if not isinstance(part, Head) and part.path in self.lanes:
            return self.lanes.index(part.path)
        return 0 if len(self.lanes) == 1 else None

    def _lateral(self, part: Lateral, items: list[Item], row: int) -> Cell:
        """Place a lateral between the lanes that it joins, next to the one that it leads to.

        It branches off at a joint, unless its source path has no layers.
        """
        target = self.lanes.index(part.target)
        source = self.lanes.index(part.source) if part.source in self.lanes else None
        lane = target + (0.5 if source is None or source > target else -0.5)
        if source is not None:
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
                if not self.boxes.folded_away(source, node.id):
                    self._draw(source, node, main=index == 0)
        return list(self._found.values())

    def _draw(self, source: int, target: Node, *, main: bool) -> None:
        value, goal = self.boxes.drawn(source), self.boxes.drawn(target.id)
        start, end = self.boxes.home[value], self.boxes.home[goal]
        if start is end:
            return
        at, label = start.id, shape_text(self.network.node(source).shape)
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
        main = main and (goal not in self.below or value in self.below)
        main = main and (end.look == "merge" or target.layer.joins != CHANNELS)
        self._add(Edge(at, end.id, label, main and not beside, top=beside))

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
