"""Diagrams: a network to DOT, with paths as lanes, laterals across them, and repeats folded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import graphviz  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]

from archdsl.targets.dot.arrange import Arranger, add_point, free_place, free_rows
from archdsl.targets.dot.boxes import Box, Frame, first_id
from archdsl.targets.dot.labels import box_label, frame_label, title_label
from archdsl.targets.dot.layout import Edge, Layout, lay_out, trunk
from archdsl.targets.dot.marks import UNMARKED
from archdsl.targets.dot.render import render
from archdsl.targets.dot.style import DASHED, FONT, INK, LANE, LINE, colour, identifier, shape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.network import Network
    from archdsl.targets.dot.marks import Marks

LEVELS = ("stage", "block", "layer")
FRAMES = {"stage": ("rounded", "#8c8c8c"), "block": ("rounded", "#b5b5b5"), "repeat": ("rounded,dashed", LINE)}


class Diagram(graphviz.Source):
    """DOT text that renders in a notebook, with or without Graphviz's `dot` on the machine."""

    def picture(self, format: str = "svg") -> bytes:
        """Return the diagram as svg, png, pdf or dot.

        Raises:
            RenderError: if it cannot be rendered.
        """
        source: Any = self.source
        return render(source, format)

    def _repr_image_svg_xml(self) -> str:
        return self.picture().decode()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, bytes | str]:
        del include, exclude
        return {"image/svg+xml": self._repr_image_svg_xml()}


def diagram(network: Network, level: str = "stage") -> Diagram:
    """Return the diagram of a network, with a box for each stage of each path, each block or each layer.

    Raises:
        ValueError: if there is no such level.
    """
    if level not in LEVELS:
        message = f"`{level}` is not a level of a diagram; there are {', '.join(LEVELS)}"
        raise ValueError(message)
    dot: Any = graphviz.Digraph(identifier(network.name))
    set_looks(dot, level)
    writer = Writer(dot, network, lay_out(network, level))
    writer.write()
    dot.attr(label=title_label(network, writer.categories()), **{"class": "archdsl"})
    return Diagram(dot.source)


def set_looks(dot: Any, level: str) -> None:
    """Set the default attributes of the graph, its nodes and its edges."""
    wide = level == "layer"
    dot.attr(
        "graph", newrank="true", rankdir="TB", bgcolor="transparent", fontname=FONT, fontcolor=INK, fontsize="11",
        nodesep="0.3", ranksep="0.12" if wide else "0.22", pad="0.15", labelloc="t", splines="true",
    )  # fmt: skip
    dot.attr(
        "node", shape="box", style="rounded,filled", fontname=FONT, fontsize="11", fontcolor=INK, color=LINE,
        penwidth="0.8", margin="0.12,0.05", height="0.3",
    )  # fmt: skip
    dot.attr(
        "edge", fontname=FONT, fontsize="9", fontcolor=INK, color=LINE, penwidth="0.9", arrowsize="0.6",
        weight="10",
    )  # fmt: skip


class Writer:
    """Writer of a layout into a DOT graph, in a deterministic order.

    `marks` are the differences from another network; all names begin with `layout.boxes.prefix`.
    """

    def __init__(self, dot: Any, network: Network, layout: Layout, marks: Marks = UNMARKED) -> None:
        self.dot = dot
        self.network = network
        self.layout = layout
        self.marks = marks
        self.prefix = layout.boxes.prefix
        self.bottom = ""  # the box below all lanes
        self.trunk = trunk(network, [c.nodes for c in layout.cells])

    def write(self) -> None:
        """Write nodes, edges and ranks, but not the defaults and the title."""
        for box in self.layout.inputs:
            into = {f.title for f in self.layout.lanes if f.entry in box.nodes}
            self._box(self.dot, box, self._group(into.pop()) if len(into) == 1 else "")
        for lane in range(len(self.layout.lanes)):
            self._lane(lane)
            self._gutter(lane + 0.5)
        for cell in self.layout.cells:
            if cell.lane is None:
                self._items(self.dot, cell.items, "")
                self.bottom = first_id(cell.items)
        self._output()
        Arranger(self.dot, self.layout, self.bottom).arrange()

    def categories(self) -> list[str]:
        """Return the categories of the drawn boxes and cells, in the order of drawing."""
        boxes = self.layout.boxes
        drawn = dict.fromkeys(boxes.home.values())
        cells = [cell for b in drawn for cell in ([[n] for n in b.nodes] if b.look == "stack" else [b.nodes])]
        return list(dict.fromkeys(boxes.category(cell) for cell in cells))

    # --- boxes ---

    def _group(self, path: str) -> str:
        """Return the Graphviz group of a path, whose nodes are aligned vertically."""
        return f"{self.prefix}lane_{identifier(path)}"

    def _on_trunk(self, group: str, nodes: Sequence[int]) -> str:
        return group if nodes[-1] in self.trunk else ""

    def _items(self, into: Any, items: Sequence[Box | Frame], group: str) -> None:
        for item in items:
            if isinstance(item, Frame):
                self._frame(into, item, group)
            else:
                self._box(into, item, group)

    def _box(self, into: Any, box: Box, group: str) -> None:
        boxes = self.layout.boxes
        category = boxes.category(box.nodes)
        settings = {"label": box_label(self.network, boxes, box, self.marks), "class": f"box {identifier(category)}"}
        settings |= {"fillcolor": colour(category), "group": self._on_trunk(group, box.nodes)}
        if box.look == "box":
            settings["width"] = "1.7"
        if category in DASHED:
            settings["style"] = "rounded,filled,dashed"
        if box.look == "stack":
            settings |= {"shape": "plain", "style": "", "fillcolor": "", "margin": "0"}
        if box.look == "merge":
            settings |= {"shape": "ellipse", "style": "filled", "margin": "0.02,0.01", "height": "0.24", "width": "0.3"}
        if box.look != "stack":
            settings = self.marks.marked(self.marks.box(box), settings)
        into.node(box.id, **{k: v for k, v in settings.items() if v or k in ("style", "fillcolor")})

    def _frame(self, into: Any, frame: Frame, group: str) -> None:
        look = FRAMES[frame.kind]
        with into.subgraph(name=f"cluster_{frame.id}") as inside:
            title = frame_label(self.layout.boxes, frame)
            inside.attr(label="", style=look[0], color=look[1], margin="7", labeljust="l", **{"class": frame.kind})
            if title:
                small = {"fontsize": "10", "height": "0.2", "margin": "0.08,0.02", "penwidth": "0.5"}
                small["group"] = self._on_trunk(group, frame.nodes)
                inside.node(frame.id, title, fillcolor="#ffffff", **{"class": "title"}, **small)
            self._items(inside, frame.items, group)
            if title and frame.entry < 0:  # several values enter: the title stands beside the first box
                with inside.subgraph() as same:
                    same.attr(rank="same")
                    same.edge(frame.id, first_id(frame.items), style="invis")
                    for name in self._fed_from_outside(frame):
                        same.node(name)

    def _fed_from_outside(self, frame: Frame) -> list[str]:
        boxes = self.layout.boxes
        inside = set(frame.nodes)
        starts = {boxes.home[n]: None for n in frame.nodes if n in boxes.home}
        for n in frame.nodes:
            box = boxes.home[boxes.drawn(n)]
            if any(u in inside and boxes.home[boxes.drawn(u)] is not box for u in self.network.node(n).inputs):
                starts.pop(box, None)
        return [box.id for box in starts]

    def _lane(self, lane: int) -> None:
        frame = self.layout.lanes[lane]
        group = self._group(frame.title)
        cells = [c for c in self.layout.cells if c.lane == lane]
        if len(self.layout.lanes) == 1:
            for cell in cells:
                self._items(self.dot, cell.items, group)
            return
        with self.dot.subgraph(name=f"cluster_{self.prefix}lane_{lane}") as inside:
            title = frame_label(self.layout.boxes, frame)
            inside.attr(
                label="" if frame.entry >= 0 else title, labeljust="l", style="rounded,filled", fillcolor=LANE,
                color="#d0d0d0", margin="10", **{"class": "lane"},
            )  # fmt: skip
            if frame.entry >= 0:
                inside.node(frame.id, title, group=group, fillcolor="#ffffff", height="0.22", **{"class": "title"})
            for cell in cells:
                self._items(inside, cell.items, group)
            for joint in self.layout.joints:
                if joint.lane == lane:
                    looks = {"shape": "point", "width": "0.045", "height": "0.045", "label": "", "class": "joint"}
                    inside.node(joint.id, group=group, fillcolor=LINE, style="filled", **looks)

    def _gutter(self, lane: float) -> None:
        """Write the laterals between two lanes, one below the other."""
        cells = [c for c in self.layout.cells if c.lane == lane]
        if not cells:
            return
        with self.dot.subgraph(name=f"cluster_{self.prefix}between_{identifier(str(lane))}") as inside:
            inside.attr(label="", peripheries="0", margin="2", **{"class": "between"})
            for row in free_rows(self.layout, lane):
                add_point(inside, free_place(self.layout, lane, row))
            for cell in cells:
                self._items(inside, cell.items, "")

    def _output(self) -> None:
        node = self.network.node(self.network.output)
        box = self.layout.boxes.home[self.layout.boxes.drawn(node.id)]
        looks = {"shape": "plain", "style": "", "margin": "0.04", "class": "bare"}
        name = f"{self.prefix}output"
        self.dot.node(name, "output", **looks)
        self.layout.edges.append(Edge(box.id, name, shape_text(node.shape)))
