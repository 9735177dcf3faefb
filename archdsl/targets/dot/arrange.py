"""Places of boxes: ranks, and invisible edges that keep the order; and the visible edges."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from archdsl.ir.regions import Fusion, Lateral
from archdsl.targets.dot.boxes import Frame, first_id, last_id
from archdsl.targets.dot.style import plain

if TYPE_CHECKING:
    from archdsl.targets.dot.layout import Edge, Layout

_BOTTOM = ".bottom"  # an invisible point that keeps the lanes in order


def free_rows(layout: Layout, lane: float) -> list[int]:
    """Return the rows that are empty between two lanes, and row 0, that of the lanes' titles."""
    own = {c.row for c in layout.cells if c.lane == lane}
    return [0, *sorted({c.row for c in layout.cells if c.lane is not None} - own)] if own else []


def free_place(layout: Layout, lane: float, row: int) -> str:
    """Return the name of the point in an empty row between two lanes."""
    return f"{layout.boxes.prefix}.{lane}.{row}"


def add_point(into: Any, name: str) -> None:
    """Add an invisible node."""
    into.node(name, "", style="invis", shape="point", width="0.01", height="0.01", fixedsize="true")


class Arranger:
    """Arranges the boxes of a layout that stand in a DOT graph, and joins them.

    `bottom` is the box below all lanes, if there is one; `flat` are the pairs of boxes that stand side by side.
    """

    def __init__(self, dot: Any, layout: Layout, bottom: str) -> None:
        self.dot = dot
        self.layout = layout
        self.bottom = bottom
        self.flat: set[frozenset[str]] = set()

    def arrange(self) -> None:
        """Write ranks, the order of lanes, and all edges."""
        self._ranks()
        self._order()
        self._edges()

    def _ranks(self) -> None:
        """Align the cells of each row, and each lateral with the joint at its start and the fusion at its end."""
        gaps = [lane + 0.5 for lane in range(len(self.layout.lanes))]
        if len(self.layout.inputs) > 1:
            self._side_by_side([b.id for b in self.layout.inputs])
        heads = [f.id for f in self.layout.lanes if f.entry >= 0 and len(self.layout.lanes) > 1]
        self._side_by_side([*heads, *(free_place(self.layout, g, 0) for g in gaps if free_rows(self.layout, g))])
        for row in sorted({c.row for c in self.layout.cells}):
            cells = [c for c in self.layout.cells if c.row == row and c.lane is not None]
            if any(isinstance(c.part, Lateral | Fusion) for c in cells):
                ends = [last_id(c.items) for c in cells if isinstance(c.part, Lateral)]
                begins = [first_id(c.items) for c in cells if isinstance(c.part, Lateral)]
                joints = [j.id for j in self.layout.joints if j.row == row]
                fusions = [first_id(c.items) for c in cells if isinstance(c.part, Fusion)]
                if begins == ends:
                    self._side_by_side([*fusions, *begins, *joints])
                else:
                    self._side_by_side([*begins, *joints])
                    self._side_by_side([*fusions, *ends])
            else:
                points = [free_place(self.layout, g, row) for g in gaps if row in free_rows(self.layout, g)]
                self._side_by_side([*(first_id(c.items) for c in cells), *points])

    def _side_by_side(self, names: list[str]) -> None:
        self.flat |= {frozenset((a, b)) for a in names for b in names if a != b}
        if len(names) > 1:
            with self.dot.subgraph() as same:
                same.attr(rank="same")
                for name in names:
                    same.node(name)

    def _order(self) -> None:
        """Add invisible edges from the inputs to each lane and each gap between lanes, from left to right."""
        if len(self.layout.lanes) == 1:
            return
        bottom = self.bottom
        if not bottom:
            bottom = self.layout.boxes.prefix + _BOTTOM
            add_point(self.dot, bottom)
        sources = [self._source(lane) for lane in self.layout.lanes]
        for index, lane in enumerate(self.layout.lanes):
            self._down(sources[index], lane.first)
            gap = index + 0.5
            rows = free_rows(self.layout, gap)
            if not rows:
                continue
            for source in dict.fromkeys(sources[index : index + 2]):
                self._hidden(source, free_place(self.layout, gap, 0))
            column = {row: (free_place(self.layout, gap, row),) * 2 for row in rows}
            column |= {c.row: (first_id(c.items), last_id(c.items)) for c in self.layout.cells if c.lane == gap}
            ends = [*(column[row] for row in sorted(column)), (bottom, bottom)]
            for (_, above), (below, _) in pairwise(ends):
                self._hidden(above, below)

    def _source(self, lane: Frame) -> str:
        """Return the input above a lane."""
        return next((b.id for b in self.layout.inputs if lane.entry in b.nodes), self.layout.inputs[0].id)

    def _down(self, above: str, below: str) -> None:
        """Write the layout's edge between two nodes, or an invisible one if it has none."""
        real = next((e for e in self.layout.edges if (e.source, e.target) == (above, below)), None)
        if real is None:
            self._hidden(above, below)
        else:
            self._edge(real)
            self.layout.edges.remove(real)

    def _hidden(self, source: str, target: str) -> None:
        self.dot.edge(source, target, style="invis")

    def _edges(self) -> None:
        for edge in self.layout.edges:
            self._edge(edge)

    def _edge(self, edge: Edge) -> None:
        settings = {"label": f" {plain(edge.label)} "} if edge.label else {}
        if not edge.arrow:
            settings["arrowhead"] = "none"
        if frozenset((edge.source, edge.target)) in self.flat:
            settings["weight"] = "0"
            settings.pop("label", None)
        elif not edge.main:
            settings["weight"] = "3" if edge.top else "1"
        self.dot.edge(edge.source, edge.target, **settings)
