"""The page of a diagram: drawings, a heading and a legend, as DOT text with positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.targets.dot.canvas import Canvas
from archdsl.targets.dot.labels import legend
from archdsl.targets.dot.marks import EXPLAINED, border
from archdsl.targets.dot.printer import DrawingWriter
from archdsl.targets.dot.style import DASHED, FROZEN_FILL, FROZEN_LINE, colour
from archdsl.targets.dot.text import Span, Text
from archdsl.targets.dot.weights import EXPLAINED as FROZEN_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.dot.canvas import Bounds
    from archdsl.targets.dot.drawing import Drawing
    from archdsl.targets.dot.look import Choices, Look


KEYS = {**EXPLAINED, "position": "tokens, positions"}  # words of the legend, if others than those that they explain
SIDE = 10.0  # between the frame of one of two networks and what is inside
FROZEN_LOOKS = {"fillcolor": FROZEN_FILL, "color": FROZEN_LINE, "style": "filled", "class": "key frozen"}
BARE = {"class": "bare", "style": "", "shape": "plaintext"}


class TooWide(ValueError):
    """A diagram, of two networks if `beside`, cannot be as narrow as asked for."""

    def __init__(self, choices: Choices, narrowest: float, *, beside: bool = False) -> None:
        cures = ", ".join(
            filter(None, [choices.cures(beside=beside), "`--direction tb`" * (choices.direction == "lr")])
        )
        super().__init__(
            f"{choices.most or 0:.4g} pt is too narrow: with the smallest readable type the diagram is "
            f"{narrowest:.0f} pt wide; smaller with {cures}"
        )


class Page(Canvas):
    """Page of one or two drawings, with a heading above them."""

    def __init__(self, name: str, choices: Choices, look: Look) -> None:
        super().__init__(name, look)
        self.choices = choices
        self.categories: dict[str, None] = {}
        self.frozen = False  # whether something drawn is not trained

    def add(self, drawing: Drawing, across: float = 0.0) -> None:
        """Write a drawing, shifted across the flow."""
        self._write(self.dot, DrawingWriter(self, drawing, across))

    def _write(self, into: Any, writer: DrawingWriter) -> None:
        writer.write(into)
        self.categories |= dict.fromkeys(writer.categories())
        self.frozen = self.frozen or writer.has_frozen()

    def side(self, name: str, drawing: Drawing, titles: Sequence[Text]) -> None:
        """Write a drawing in a frame with its titles, behind those that are there already."""
        others, self.bounds = self.bounds, None
        height = sum(t.size()[1] + 3 for t in titles)
        across = self._behind(others, drawing, titles, height)
        with self.dot.subgraph(name=f"cluster_{name}") as inside:
            self._write(inside, DrawingWriter(self, drawing, across))
            left, bottom, right, top = self.bounds or (0.0, 0.0, 0.0, 0.0)
            y = top + 6 + height
            for number, title in enumerate(titles):
                y -= title.size()[1] / 2
                self.node(inside, f"{name}.title{number}", title, ((left + right) / 2, y), **BARE)
                y -= title.size()[1] / 2 + 3
            left, bottom, right, top = self.bounds or (0.0, 0.0, 0.0, 0.0)
            self.reach((left - SIDE, bottom - SIDE, right + SIDE, top + SIDE / 2))
            place = ",".join(f"{x:.2f}" for x in self.bounds or ())
            inside.attr("graph", bb=place, label="", style="rounded", color="#8c8c8c", **{"class": "side"})
        if others is not None:
            self.reach(others)

    def _behind(self, others: Bounds | None, drawing: Drawing, titles: Sequence[Text], height: float) -> float:
        """Return the axis of a drawing that does not meet those on the page."""
        if others is None:
            return 0.0
        before, behind = drawing.sides
        if self.look.wide:
            return -others[1] + 3 * SIDE + height + before
        excess = max([0.0, *((t.size()[0] - before - behind) / 2 for t in titles)])
        return others[2] + 2.5 * SIDE + before + excess

    def head(self, title: Sequence[Text], notes: Text, marks: Sequence[str] = ()) -> None:
        """Write the heading above all that is there: the title, the legends of categories and marks, and notes."""
        left, _, right, top = self.bounds or (0.0, 0.0, 0.0, 0.0)
        middle, room = (left + right) / 2, self.room
        rows = [_Row(".notes", notes)]
        keys = _keys([(w, self._mark(w)) for w in marks], self.look, room)
        known = legend(list(self.categories)) if self.choices.title else []
        frozen = [(FROZEN_KEY, FROZEN_LOOKS)] if self.frozen and self.choices.title else []
        rows += keys + _keys([*((c, self._category(c)) for c in known), *frozen], self.look, room)
        rows += [_Row(f".title{k}", text) for k, text in reversed(list(enumerate(title)))]
        y = top + 8
        for row in rows:
            width, height = row.size()
            x = middle - width / 2
            for name, content, settings in row.nodes:
                w = content.size()[0]
                self.node(self.dot, name, content, (x + w / 2, y + height / 2), **settings)
                x += w + row.gap
            y += height + 3 if row.nodes else 0

    @property
    def room(self) -> float:
        """The width that a heading may have without making the page wider."""
        left, _, right, _ = self.bounds or (0.0, 0.0, 0.0, 0.0)
        most = self.choices.most - 2 * self.look.edge if self.choices.most is not None else 240.0
        return max(right - left, most)

    def _category(self, name: str) -> dict[str, str]:
        style = {"style": "filled,dashed"} if name in DASHED else {"style": "filled"}
        return {"fillcolor": colour(name), "class": "key", **style}

    def _mark(self, mark: str) -> dict[str, str]:
        return {"fillcolor": "#ffffff", "class": f"key {mark}"} | border(mark, "filled")


class _Row:
    """Nodes of a heading, side by side."""

    gap = 6.0

    def __init__(self, name: str, content: Text) -> None:
        self.nodes: list[tuple[str, Text, dict[str, str]]] = [(name, content, BARE)]
        if not content.lines:
            self.nodes = []

    def size(self) -> tuple[float, float]:
        """Return the width and height in points."""
        sizes = [content.size() for _, content, _ in self.nodes]
        return sum(w for w, _ in sizes) + self.gap * (len(sizes) - 1), max((h for _, h in sizes), default=-4.0)


def _keys(samples: Sequence[tuple[str, dict[str, str]]], look: Look, room: float) -> list[_Row]:
    """Return the rows of a legend, the last one first."""
    rows: list[_Row] = []
    for word, settings in samples:
        content = Text(((Span(KEYS.get(word, word), look.small),),), (5, 2.5))
        if not rows or rows[-1].size()[0] + _Row.gap + content.size()[0] > room:
            rows.append(_Row("", Text(())))
        rows[-1].nodes.append((f".key.{word}", content, settings))
    return rows[::-1]
