"""Diagram of two networks side by side, with their differences marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.changes import CHANGED, GONE, NEW
from archdsl.ir.regions import Stage
from archdsl.lowering import without_identities
from archdsl.targets.dot.drawing import Drawing
from archdsl.targets.dot.edits import FOLLOWS, statuses_of
from archdsl.targets.dot.labels import heading, notes
from archdsl.targets.dot.layout import lay_out
from archdsl.targets.dot.look import Choices
from archdsl.targets.dot.marks import marks_of
from archdsl.targets.dot.page import Page
from archdsl.targets.dot.style import identifier
from archdsl.targets.dot.writer import Diagram, Draft, fitted

if TYPE_CHECKING:
    from archdsl.analysis.compare import Difference
    from archdsl.ir.network import Network
    from archdsl.targets.dot.boxes import Box, Frame
    from archdsl.targets.dot.layout import Layout
    from archdsl.targets.dot.look import Look
    from archdsl.targets.dot.marks import Marks


class Side(NamedTuple):
    """One of the two networks, with its layout."""

    name: str
    network: Network
    layout: Layout

    def stages(self) -> dict[str, tuple[int, Box | Frame]]:
        """Return the row and the first box of each stage of each path, by the name of the part."""
        stages: dict[str, tuple[int, Box | Frame]] = {}
        for cell in self.layout.cells:
            if isinstance(cell.part, Stage):
                name = self.network.node(cell.nodes[0]).region.top.name
                stages.setdefault(name, (cell.row, cell.items[0]))
        return stages


def difference_diagram(
    difference: Difference, base: Network, arch: Network, level: str = "stage", **choices: Any
) -> Diagram:
    """Return the diagram of a comparison: the base first, the other network beside it. `choices` are as in `Choices`.

    Raises:
        ValueError: if there is no such level, direction or theme, or the picture cannot be as narrow as `width`.
    """
    chosen = Choices(level=level, **choices)
    sides = _side("base", base, level), _side("spec", arch, level)
    (left, right), statuses = sides, statuses_of(difference)
    marks = marks_of((left.network, left.layout.boxes), (right.network, right.layout.boxes), statuses)
    return fitted(chosen, lambda look: _draft(sides, marks, chosen, look), beside=True)


def _draft(sides: tuple[Side, Side], marks: tuple[Marks, Marks], chosen: Choices, look: Look) -> Draft:
    """Return the page with both networks, their stages of one name level with each other."""
    drawings = [Drawing(s.network, s.layout, look, own) for s, own in zip(sides, marks, strict=True)]
    _align(sides, drawings)

    def page() -> Page:
        page = Page(identifier("_".join(s.network.name for s in sides)), chosen, look)
        for side, drawing in zip(sides, drawings, strict=True):
            titles = heading(side.network, look, max(drawing.width, 160.0), side.name)
            page.side(side.name, drawing, titles if chosen.title else ())
        drawn = {mark for own in marks for mark in own.drawn(chosen.level)}
        seen = [mark for mark in (CHANGED, FOLLOWS, NEW, GONE) if mark in drawn]
        notes_ = list(dict.fromkeys(text for side in sides for text in side.layout.notes))
        page.head((), notes(look, notes_, page.room, explained=chosen.title), seen)
        return page

    return Draft(0.0, max(drawing.height for drawing in drawings) + 2 * look.edge, page)


def _side(name: str, network: Network, level: str) -> Side:
    drawn = without_identities(network)
    return Side(name, drawn, lay_out(drawn, level, f"{name}."))


def _align(sides: tuple[Side, Side], drawings: list[Drawing]) -> None:
    """Move stages of the same name to the same level, as far as their order agrees on both sides."""
    one, other = drawings
    floors: tuple[dict[str, float], dict[str, float]] = ({}, {})
    right = sides[1].stages()
    done = taken = 0
    for name, (row, item) in sides[0].stages().items():
        if name not in right or row < done or right[name][0] < taken:
            continue
        done, taken = row, right[name][0]
        level = max(one.start(item), other.start(right[name][1]))
        floors[0][item.id] = floors[1][right[name][1].id] = level
        one.place(floors[0])
        other.place(floors[1])
