"""A DOT graph with positions, and how large what is on it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import graphviz  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]

from archdsl.targets.dot.pieces import ARROW
from archdsl.targets.dot.style import FONT, INK, LIGHT_INK, LIGHT_LINE, LINE

if TYPE_CHECKING:
    from archdsl.targets.dot.labels import Content
    from archdsl.targets.dot.look import Look

Bounds = tuple[float, float, float, float]  # left, bottom, right, top


class Canvas:
    """A graph of Graphviz whose nodes have positions, in points with y upwards, that it only renders."""

    def __init__(self, name: str, look: Look) -> None:
        self.look = look
        self.ink, self.line = (LIGHT_INK, LIGHT_LINE) if look.dark else (INK, LINE)
        self.bounds: Bounds | None = None
        self.dot: Any = graphviz.Digraph(name)
        self.dot.attr(
            "graph", layout="nop2", margin="0", bgcolor="transparent", pad=f"{look.edge / 72:.4g}", fontname=FONT,
        )  # fmt: skip
        self.dot.attr(**{"class": "archdsl"})
        self.dot.attr(
            "node", shape="box", style="rounded,filled", fontname=FONT, fontcolor=INK, color=LINE, penwidth="0.8",
            margin="0", fixedsize="true",
        )  # fmt: skip
        self.dot.attr(
            "edge", fontname=FONT, fontcolor=self.ink, color=self.line, penwidth="0.9",
            arrowsize=f"{ARROW / 10:.2g}", fontsize=f"{look.small:g}",
        )  # fmt: skip

    @property
    def size(self) -> tuple[float, float]:
        """The width and height in points."""
        left, bottom, right, top = self.bounds or (0.0, 0.0, 0.0, 0.0)
        return right - left + 2 * self.look.edge, top - bottom + 2 * self.look.edge

    def source(self) -> str:
        """Return the DOT text."""
        return self.dot.source

    def reach(self, box: Bounds) -> None:
        """Enlarge the page so that it holds a rectangle."""
        self.bounds = box if self.bounds is None else _around(self.bounds, box)

    def node(self, into: Any, name: str, content: Content, centre: tuple[float, float], **settings: str) -> None:
        """Write a node at its centre into the graph or a part of it."""
        width, height = content.size()
        x, y = centre
        self.reach((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
        place = {"pos": f"{x:.2f},{y:.2f}", "width": f"{width / 72:.4f}", "height": f"{height / 72:.4f}"}
        into.node(name, content.html(), **place, **settings)


def _around(one: Bounds, other: Bounds) -> Bounds:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])
