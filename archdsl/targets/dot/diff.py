"""Diagram of two networks side by side, with their differences marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import graphviz  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]

from archdsl.ir.regions import Stage
from archdsl.lowering import without_identities
from archdsl.targets.dot.boxes import first_id
from archdsl.targets.dot.labels import legend, title_label
from archdsl.targets.dot.layout import lay_out
from archdsl.targets.dot.marks import mark_legend, marks_of
from archdsl.targets.dot.style import identifier
from archdsl.targets.dot.writer import LEVELS, Diagram, Writer, set_looks

if TYPE_CHECKING:
    from archdsl.analysis.compare import Difference
    from archdsl.ir.network import Network
    from archdsl.targets.dot.layout import Cell, Layout


class Side(NamedTuple):
    """One of the two networks, with its layout."""

    name: str
    network: Network
    layout: Layout

    def stages(self) -> dict[str, Cell]:
        """Return the first cell of each stage of each path, by the name of the part."""
        stages: dict[str, Cell] = {}
        for cell in self.layout.cells:
            if isinstance(cell.part, Stage):
                stages.setdefault(self.network.node(cell.nodes[0]).region.top.name, cell)
        return stages


def difference_diagram(difference: Difference, base: Network, arch: Network, level: str = "stage") -> Diagram:
    """Return the diagram of a comparison: the base on the left, the other network on the right.

    Raises:
        ValueError: if there is no such level.
    """
    if level not in LEVELS:
        message = f"`{level}` is not a level of a diagram; there are {', '.join(LEVELS)}"
        raise ValueError(message)
    left, right = _side("base", base, level), _side("spec", arch, level)
    statuses = {e.name: e.status for e in difference.layers}
    marks = marks_of((left.network, left.layout.boxes), (right.network, right.layout.boxes), statuses)
    dot: Any = graphviz.Digraph(identifier(f"{base.name}_{arch.name}"))
    set_looks(dot, level)
    writers: list[Writer] = []
    for side, own in zip((left, right), marks, strict=True):
        with dot.subgraph(name=f"cluster_{side.name}") as inside:
            inside.attr(label=title_label(side.network, (), side.name), style="rounded", color="#8c8c8c", margin="14")
            inside.attr(**{"class": "side"})
            writers.append(Writer(inside, side.network, side.layout, own))
            writers[-1].write()
    _side_by_side(dot, left, right)
    categories = list(dict.fromkeys(c for w in writers for c in w.categories()))
    tables = "".join(f"<tr><td>{table}</td></tr>" for table in (legend(categories), mark_legend()))
    dot.attr(label=f'<<table border="0" cellborder="0" cellspacing="1" cellpadding="1">{tables}</table>>')
    dot.attr(**{"class": "archdsl"})
    return Diagram(dot.source)


def _side(name: str, network: Network, level: str) -> Side:
    drawn = without_identities(network)
    return Side(name, drawn, lay_out(drawn, level, f"{name}."))


def _side_by_side(dot: Any, left: Side, right: Side) -> None:
    """Align the first inputs, and the stages of the same name, as far as their order agrees on both sides."""
    pairs = [(left.layout.inputs[0].id, right.layout.inputs[0].id)]
    others = right.stages()
    done = taken = 0
    for name, cell in left.stages().items():
        other = others.get(name)
        if other is not None and cell.row > done and other.row > taken:
            pairs.append((first_id(cell.items), first_id(other.items)))
            done, taken = cell.row, other.row
    for index, (one, other) in enumerate(pairs):
        with dot.subgraph() as same:
            same.attr(rank="same")
            same.node(one)
            same.node(other)
            if not index:
                same.edge(one, other, style="invis", weight="0")
