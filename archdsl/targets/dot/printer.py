"""A drawing as DOT text: nodes at their places, frames, and lines with rounded turns."""

from __future__ import annotations

from math import hypot
from typing import TYPE_CHECKING, Any

from archdsl.targets.dot.boxes import Frame
from archdsl.targets.dot.pieces import ARROW
from archdsl.targets.dot.style import DARK_FRAME, DARK_LANE, DASHED, LANE, LINE, identifier, plain
from archdsl.targets.dot.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.dot.boxes import Box
    from archdsl.targets.dot.canvas import Canvas
    from archdsl.targets.dot.drawing import Drawing
    from archdsl.targets.dot.layout import Edge
    from archdsl.targets.dot.pieces import Rect
    from archdsl.targets.dot.shortest import Point

FRAMES = {
    "lane": ("rounded,filled", "#d0d0d0"), "stage": ("rounded", "#8c8c8c"), "block": ("rounded", "#b5b5b5"),
    "repeat": ("rounded,dashed", LINE), "layer": ("rounded", "#b5b5b5"),
}  # fmt: skip
ROUND = 5.0  # radius of a line's turn


class DrawingWriter:
    """Writer of one drawing to a canvas, shifted `across` the flow."""

    def __init__(self, canvas: Canvas, drawing: Drawing, across: float) -> None:
        self.canvas = canvas
        self.drawing = drawing
        self.across = across
        self.wide = drawing.look.wide
        self.dark = drawing.look.dark

    def write(self, into: Any) -> None:
        """Write everything into a graph."""
        layout = self.drawing.layout
        self._items(into, layout.inputs)
        if len(layout.lanes) > 1:
            for lane in layout.lanes:
                self._frame(into, lane)
        for cell in layout.cells:
            if cell.lane is None or cell.lane % 1 or len(layout.lanes) == 1:
                self._items(into, cell.items)
        self._items(into, layout.outputs)
        for edge, line in self.drawing.lines():
            self._edge(into, edge, line)

    def categories(self) -> list[str]:
        """Return the categories of the drawn boxes and cells, in the order of drawing."""
        boxes = self.drawing.layout.boxes
        found = [boxes.figures.category(cell) for cell in self._cells()]
        inside = [part for opened in boxes.opened.values() for part in opened.interior.parts]
        found += [cell.category for part in inside for cell in part.cells]
        return list(dict.fromkeys(found))

    def has_frozen(self) -> bool:
        """Return True if a drawn box or cell is that of layers which are not trained."""
        boxes = self.drawing.layout.boxes
        inside = any(cell.frozen for o in boxes.opened.values() for part in o.interior.parts for cell in part.cells)
        return inside or any(map(boxes.weights.is_frozen, self._cells()))

    def _cells(self) -> list[list[int]]:
        """Return the layers of each drawn box, or of each cell of a stack."""
        drawn = dict.fromkeys(box for box in self.drawing.layout.boxes.home.values() if box.look != "bare")
        return [cell for b in drawn for cell in ([[n] for n in b.nodes] if b.look == "stack" else [b.nodes])]

    # --- places ---

    def _point(self, point: Point) -> tuple[float, float]:
        u, v = point[0], point[1] + self.across
        return (u, -v) if self.wide else (v, -u)

    def _centre(self, rect: Rect) -> tuple[float, float]:
        return self._point((rect.cu, rect.cv))

    def _bounds(self, rect: Rect) -> tuple[float, float, float, float]:
        (x0, y0), (x1, y1) = self._point((rect.u0, rect.v0)), self._point((rect.u1, rect.v1))
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)

    # --- boxes ---

    def _items(self, into: Any, items: Sequence[Box | Frame]) -> None:
        for item in items:
            if isinstance(item, Frame):
                self._frame(into, item)
            else:
                self._box(into, item)

    def _box(self, into: Any, box: Box) -> None:
        category = self.drawing.layout.boxes.figures.category(box.nodes)
        weights = self.drawing.layout.boxes.weights
        settings = {
            "class": f"box {identifier(category)}", "fillcolor": weights.fill(category, box.nodes),
            "color": weights.line(box.nodes), "style": "rounded,filled",
        }  # fmt: skip
        if category in DASHED:
            settings["style"] = "rounded,filled,dashed"
        if box.look == "merge":
            settings |= {"shape": "ellipse", "style": "filled"}
        if box.look == "stack":
            settings |= {"shape": "plaintext", "style": ""}
        elif box.look == "bare":
            settings = {"shape": "plaintext", "style": "", "class": "bare"}
        else:
            settings = self.drawing.marks.marked(self.drawing.marks.box(box), settings)
        place = self._centre(self.drawing.places.boxes[box.id])
        self.canvas.node(into, box.id, self.drawing.contents[box.id], place, **settings)

    def _frame(self, into: Any, frame: Frame) -> None:
        style, border = FRAMES[frame.kind]
        border = DARK_FRAME if self.dark else border
        bounds = self._bounds(self.drawing.places.frames[frame.id])
        self.canvas.reach(bounds)
        fill = {"fillcolor": DARK_LANE if self.dark else LANE} if frame.kind == "lane" else {}
        with into.subgraph(name=f"cluster_{frame.id}") as inside:
            place = ",".join(f"{x:.2f}" for x in bounds)
            inside.attr("graph", bb=place, label="", style=style, color=border, **fill, **{"class": frame.kind})
            title = self.drawing.contents[frame.id]
            centre = self._centre(self.drawing.places.boxes[frame.id])
            opened = [frame.opened] if frame.opened >= 0 else []
            category = self.drawing.layout.boxes.figures.category(opened)
            fill = self.drawing.layout.boxes.weights.fill(category or "input", opened)
            looks = {"fillcolor": fill, "penwidth": "0.5", "class": "title"}
            if frame.opened >= 0:
                marks = self.drawing.marks
                looks = marks.marked(marks.layer(self.drawing.network.node(frame.opened)), looks)
            self.canvas.node(inside, frame.id, title, centre, **looks)
            self._items(inside, frame.items)
            for joint in self.drawing.layout.joints if frame.kind == "lane" else ():
                if self.drawing.layout.lanes[joint.lane] is frame:
                    self._joint(inside, joint.id)

    def _joint(self, into: Any, name: str) -> None:
        rect = self.drawing.places.boxes[name]
        size = rect.u1 - rect.u0
        line = self.canvas.line
        looks = {"shape": "point", "fillcolor": line, "color": line, "style": "filled", "class": "joint"}
        self.canvas.node(into, name, Text((), least=(size, size)), self._centre(rect), **looks)

    # --- lines ---

    def _edge(self, into: Any, edge: Edge, parts: Sequence[Sequence[Point]]) -> None:
        curves: list[str] = []
        for number, path in enumerate(parts, start=1):
            points = [self._point(p) for p in path]
            for x, y in points:
                self.canvas.reach((x, y, x, y))
            curves.append(spline(points, arrow=edge.arrow and number == len(parts)))
        settings = {"pos": ";".join(curves)}
        if edge.aside:
            settings["style"] = "dashed"
        if not edge.arrow:
            settings["arrowhead"] = "none"
        if rect := self.drawing.places.labels.get(edge):
            x, y = self._centre(rect)
            self.canvas.reach(self._bounds(rect))
            lines = self.drawing.shapes[edge.label].lines
            text = r"\n".join(plain(span.text) for line in lines for span in line)
            settings |= {"label": text, "lp": f"{x:.2f},{y:.2f}"}
        into.edge(edge.source, edge.target, **settings)


def spline(points: Sequence[tuple[float, float]], *, arrow: bool) -> str:
    """Return the position of an edge in DOT: Bézier curves along a line, whose turns are rounded."""
    line = list(points)
    end = line[-1]
    if arrow:
        line[-1] = _towards(end, line[-2], ARROW)
    curve = [line[0]]
    for before, corner, after in zip(line, line[1:], line[2:], strict=False):
        radius = min(ROUND, _distance(before, corner) / 2, _distance(corner, after) / 2)
        start, stop = _towards(corner, before, radius), _towards(corner, after, radius)
        curve += [*_straight(curve[-1], start), _mixed(start, corner), _mixed(stop, corner), stop]
    curve += _straight(curve[-1], line[-1])
    tip = f"e,{end[0]:.2f},{end[1]:.2f} " if arrow else ""
    return tip + " ".join(f"{x:.2f},{y:.2f}" for x, y in curve)


def _straight(one: tuple[float, float], other: tuple[float, float]) -> list[tuple[float, float]]:
    (a, b), (c, d) = one, other
    return [(a + (c - a) / 3, b + (d - b) / 3), (a + (c - a) * 2 / 3, b + (d - b) * 2 / 3), other]


def _mixed(end: tuple[float, float], corner: tuple[float, float]) -> tuple[float, float]:
    """Return the control point of a rounded turn near one of its ends."""
    return end[0] + (corner[0] - end[0]) * 0.55, end[1] + (corner[1] - end[1]) * 0.55


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    return hypot(one[0] - other[0], one[1] - other[1])


def _towards(one: tuple[float, float], other: tuple[float, float], length: float) -> tuple[float, float]:
    """Return the point at some distance from one point towards another, at most half way."""
    whole = _distance(one, other)
    part = min(length, whole * 0.9) / whole if whole else 0.0
    return one[0] + (other[0] - one[0]) * part, one[1] + (other[1] - one[1]) * part
