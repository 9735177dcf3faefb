"""A network drawn: the content, the place and the size of everything, and the lines between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.targets.dot.boxes import Frame
from archdsl.targets.dot.compose import Composer
from archdsl.targets.dot.grid import Grid
from archdsl.targets.dot.labels import Labels
from archdsl.targets.dot.pieces import ARROW, Between, Places, Row, label_place
from archdsl.targets.dot.routes import Router, interrupted, leaving_at, meet, touches
from archdsl.targets.dot.text import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archdsl.ir.network import Network
    from archdsl.targets.dot.boxes import Box
    from archdsl.targets.dot.labels import Content
    from archdsl.targets.dot.layout import Edge, Layout
    from archdsl.targets.dot.look import Look
    from archdsl.targets.dot.marks import Marks
    from archdsl.targets.dot.pieces import Rect
    from archdsl.targets.dot.shortest import Point

TURNING = 16.0  # behind the labels of lines that leave the lanes, where they turn
JOINT = 3.2  # the size of the point where a lateral connection branches off


class Drawing:
    """A layout with positions. `floors` are ids of items that begin at a certain place, or later."""

    def __init__(self, network: Network, layout: Layout, look: Look, marks: Marks) -> None:
        self.network = network
        self.layout = layout
        self.look = look
        self.marks = marks
        self.labels = Labels(network, layout.boxes, look, marks)
        self.around: dict[str, set[str]] = {}
        self.boxes: dict[str, Box] = {}
        self.frames: dict[str, Frame] = {}
        self._collect(self._items(), set())
        self.contents: dict[str, Content] = {box.id: self.labels.box(box) for box in self.boxes.values()}
        self.contents |= {frame.id: self.labels.frame(frame) for frame in self.frames.values()}
        self.shapes = {e.label: self.labels.shape(e.label) for e in layout.edges}
        sizes = {name: content.size() for name, content in self.contents.items()}
        sizes |= {j.id: (JOINT, JOINT) for j in layout.joints}
        shapes = {text: label.size() for text, label in self.shapes.items()}
        lanes = {name: n for n, lane in enumerate(layout.lanes) for name in self._inside(lane)}
        lanes |= {joint.id: joint.lane for joint in layout.joints}
        self._composer = Composer(layout.edges, sizes, look, shapes, lanes)
        self._root = self._composed()
        self.place({})

    def _items(self) -> Iterator[Box | Frame]:
        """Yield the outermost boxes and frames."""
        yield from self.layout.inputs
        lanes = self.layout.lanes
        if len(lanes) > 1:
            yield from lanes
        for cell in self.layout.cells:
            if cell.lane is None or cell.lane % 1 or len(lanes) == 1:
                yield from cell.items
        yield from self.layout.outputs

    def _collect(self, items: Iterator[Box | Frame] | Sequence[Box | Frame], around: set[str]) -> None:
        for item in items:
            inside = around | {item.id} if isinstance(item, Frame) else around
            self.around[item.id] = inside
            if isinstance(item, Frame):
                self.frames[item.id] = item
                self._collect(item.items, inside)
            else:
                self.boxes[item.id] = item
        for joint in self.layout.joints:
            self.around[joint.id] = {self.layout.lanes[joint.lane].id}

    # --- places ---

    def _composed(self) -> Row:
        layout, composer = self.layout, self._composer
        if len(layout.lanes) <= 1:
            piece = composer.items(list(self._items()))
            return piece if isinstance(piece, Row) else Row([piece], Between([], []), wide=self.look.wide)
        grid = Grid(layout, composer)
        last = [i for c in layout.cells if c.lane is None for i in c.items] + layout.outputs
        below = {name for item in last for name in self._inside(item)}
        ends = [e for e in layout.edges if e.target in below and e.source not in below and e.label]
        self._ends = [composer.label_of(e) for e in {e.source: e for e in reversed(ends)}.values()]
        gap = max((label.length for label in self._ends), default=0.0) + ARROW + TURNING
        return Row([grid, composer.items(last)], Between([gap], [None]), wide=self.look.wide)

    def _inside(self, item: Box | Frame) -> Iterator[str]:
        yield item.id
        if isinstance(item, Frame):
            for inner in item.items:
                yield from self._inside(inner)

    def place(self, floors: Mapping[str, float]) -> None:
        """Place everything; what is in `floors`, by id, begins there or later."""
        for piece in self._root.pieces:
            if isinstance(piece, Grid):
                piece.settle(floors)
        self._root.settle(floors)
        self.places = Places()
        self._root.place(0.0, 0.0, self.places)
        if len(self.layout.lanes) > 1:
            bottom = self._root.pieces[0].length
            for label in self._ends:
                v = leaving_at(*(self.places.boxes[name] for name in (label.edge.source, label.edge.target)))
                rect = label_place(label, bottom + 1, v, 0, wide=self.look.wide)
                if not any(meet(rect, other) for other in self.places.labels.values()):
                    self.places.labels[label.edge] = rect

    @property
    def sides(self) -> tuple[float, float]:
        """The extents of boxes and frames before and behind the axis, in points."""
        return self._root.before, self._root.behind

    @property
    def width(self) -> float:
        """The width of the boxes and frames in points."""
        return self._root.length if self.look.wide else self._root.before + self._root.behind

    @property
    def height(self) -> float:
        """The height of the boxes and frames in points."""
        rects = [*self.places.boxes.values(), *self.places.frames.values()]
        low, high = (2, 3) if self.look.wide else (0, 1)
        return max((r[high] for r in rects), default=0.0) - min((r[low] for r in rects), default=0.0)

    def start(self, item: Box | Frame) -> float:
        """Return the u at which a box or frame begins."""
        places = self.places.frames if isinstance(item, Frame) else self.places.boxes
        return places[item.id].u0

    # --- lines ---

    def lines(self) -> list[tuple[Edge, list[list[Point]]]]:
        """Return each edge with the corners of its line; a label on the line divides it into several."""
        router = Router(self.places, self.around.__getitem__, self._entry, self._leave)
        routes = [(edge, router.route(edge)) for edge in self.layout.edges]
        for edge, path in routes:
            for other, rect in self._labels_of(edge):
                if any(touches(part, [rect], 0.0) for part in self._parted(path, [rect])):
                    self.places.labels.pop(other)  # another line of this value must pass there
        return [(edge, self._parted(path, [rect for _, rect in self._labels_of(edge)])) for edge, path in routes]

    def _parted(self, path: list[Point], labels: Sequence[Rect]) -> list[list[Point]]:
        """Return a line in parts, between the labels that stand on it."""
        parts = [path]
        for rect in labels if self.look.centred else ():
            parts = [piece for part in parts for piece in interrupted(part, rect)]
        return parts

    def _labels_of(self, edge: Edge) -> list[tuple[Edge, Rect]]:
        return [(other, rect) for other, rect in self.places.labels.items() if other.source == edge.source]

    def _side(self, name: str, row: int, part: float) -> float:
        rect = self.places.boxes[name]
        content = self.contents.get(name)
        if isinstance(content, Table) and not self.look.wide and len(content.cells) > 1:
            return content.row_centre(row)
        return (rect.u1 - rect.u0) * part

    def _entry(self, name: str) -> float:
        """Return where a line enters a box at its side, from its top: at its first layer, if it is a stack."""
        content = self.contents.get(name)
        row = 1 if isinstance(content, Table) and content.cells[0].head else 0
        leaves = any(e.source == name for e in self.places.channels)
        return self._side(name, row, 0.3 if leaves else 0.5)

    def _leave(self, name: str) -> float:
        """Return where a line leaves a box at its side, from its top: at its last layer, if it is a stack."""
        enters = any(e.target == name for e in self.places.channels)
        return self._side(name, -1, 0.7 if enters else 0.5)
