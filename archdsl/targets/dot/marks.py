"""Marks for the differences between two networks: a word, and borders that differ in more than colour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archdsl.core.changes import CHANGED, GONE, NEW, SAME
from archdsl.targets.dot.style import LINE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.ir.network import Network, Node
    from archdsl.targets.dot.boxes import Box, Boxes

COLOUR = {CHANGED: "#b35806", NEW: "#1b7837", GONE: "#b2182b"}  # dark enough for text
WIDTH = "2.2"


@dataclass(frozen=True)
class Marks:
    """Marks (`new`, `gone`, `changed`) by the id of a box, without prefix, and by the name of a layer in a stack."""

    prefix: str = ""
    boxes: Mapping[str, str] = field(default_factory=dict[str, str])
    layers: Mapping[str, str] = field(default_factory=dict[str, str])

    def box(self, box: Box) -> str:
        """Return `new`, `gone` or `changed` for a box; empty if it is the same."""
        return self.boxes.get(box.id.removeprefix(self.prefix), "")

    def layer(self, node: Node) -> str:
        """Return the mark of a drawn layer and its folded copies; empty if they are the same."""
        return self.layers.get(node.name, "")

    def marked(self, mark: str, settings: dict[str, str]) -> dict[str, str]:
        """Return the Graphviz attributes of a box, with those of its mark added."""
        if not mark:
            return settings
        result = settings | {"color": COLOUR[mark], "penwidth": WIDTH, "class": f"{settings['class']} {mark}"}
        if mark == NEW:
            result["peripheries"] = "2"
        if mark == GONE:
            result["style"] = f"{settings.get('style', 'rounded,filled').removesuffix(',dashed')},dashed"
        return result


UNMARKED = Marks()


def mark_text(mark: str) -> str:
    """Return the word of a mark as part of an HTML-like label."""
    return f'<font point-size="9" color="{COLOUR[mark]}"><b>{mark}</b></font>' if mark else ""


def mark_cell(mark: str, dashes: str) -> str:
    """Return the border attributes of a layer's cell; `dashes` is the border style of its category."""
    if not mark:
        return f'color="{LINE}"{dashes}'
    return f'color="{COLOUR[mark]}" border="2"' + (' style="dashed"' if mark == GONE else "")


def mark_legend() -> str:
    """Return a table with a sample of each mark."""
    cells = [f'<td {mark_cell(mark, "")} bgcolor="#ffffff">{_sample(mark)}</td>' for mark in (CHANGED, NEW, GONE)]
    return f'<table border="0" cellborder="2" cellspacing="4" cellpadding="2"><tr>{"".join(cells)}</tr></table>'


def _sample(mark: str) -> str:
    """Return the word of a mark, in a second border for `new`."""
    word = f'<font point-size="9">{mark_text(mark)}</font>'
    inner = f'<table border="1" color="{COLOUR[mark]}" cellborder="0" cellspacing="0" cellpadding="1">'
    return f"{inner}<tr><td>{word}</td></tr></table>" if mark == NEW else word


def marks_of(
    one: tuple[Network, Boxes], other: tuple[Network, Boxes], statuses: Mapping[str, str]
) -> tuple[Marks, Marks]:
    """Return the marks of two networks; `statuses` has `new`, `gone`, `changed` or `same` for each layer's name.

    A box is marked if one of its layers differs, or the box of its name on the other side has a layer that this
    side lacks.
    """
    first, second = _Drawn(*one), _Drawn(*other)
    return first.marks(second, statuses), second.marks(first, statuses)


class _Drawn:
    """The names of the layers that each box, and each drawn layer, represents."""

    def __init__(self, network: Network, boxes: Boxes) -> None:
        self.prefix = boxes.prefix
        self.names = {node.name for node in network.all_nodes()}
        self.boxes: dict[str, list[str]] = {}
        self.layers: dict[str, list[str]] = {}
        for node in network.all_nodes():
            number = boxes.drawn(node.id)
            box = boxes.home[number].id.removeprefix(boxes.prefix)
            self.boxes.setdefault(box, []).append(node.name)
            self.layers.setdefault(network.node(number).name, []).append(node.name)

    def marks(self, other: _Drawn, statuses: Mapping[str, str]) -> Marks:
        """Return the marks of this side, compared with the other side."""
        boxes, layers = (
            {name: mark for name in own if (mark := self._mark(own[name], theirs.get(name), statuses)) != SAME}
            for own, theirs in ((self.boxes, other.boxes), (self.layers, other.layers))
        )
        return Marks(self.prefix, boxes, layers)

    def _mark(self, own: list[str], theirs: list[str] | None, statuses: Mapping[str, str]) -> str:
        lacking = [name for name in theirs or () if name not in self.names]
        distinct = {statuses[name] for name in (*own, *lacking)}
        if distinct == {SAME} or (len(distinct) == 1 and theirs is None):
            return distinct.pop()
        return CHANGED
