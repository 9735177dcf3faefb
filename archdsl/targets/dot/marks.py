"""Marks of what differs between two networks: borders that can be told apart without colour, and a word."""

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
    """What differs, by the names of boxes (without their prefix) and of layers that have a cell of their own."""

    prefix: str = ""
    boxes: Mapping[str, str] = field(default_factory=dict[str, str])
    layers: Mapping[str, str] = field(default_factory=dict[str, str])

    def box(self, box: Box) -> str:
        """`new`, `gone` or `changed`; empty where nothing differs."""
        return self.boxes.get(box.id.removeprefix(self.prefix), "")

    def layer(self, node: Node) -> str:
        """The same of a layer and the copies that it stands for."""
        return self.layers.get(node.name, "")

    def marked(self, mark: str, settings: dict[str, str]) -> dict[str, str]:
        """How a box looks with its mark."""
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
    """The word in an HTML-like label."""
    return f'<font point-size="9" color="{COLOUR[mark]}"><b>{mark}</b></font>' if mark else ""


def mark_cell(mark: str, dashes: str) -> str:
    """The border of a layer's cell; `dashes` is what its category gives it."""
    if not mark:
        return f'color="{LINE}"{dashes}'
    return f'color="{COLOUR[mark]}" border="2"' + (' style="dashed"' if mark == GONE else "")


def mark_legend() -> str:
    """What the marks look like, as a table."""
    cells = [f'<td {mark_cell(mark, "")} bgcolor="#ffffff">{_sample(mark)}</td>' for mark in (CHANGED, NEW, GONE)]
    return f'<table border="0" cellborder="2" cellspacing="4" cellpadding="2"><tr>{"".join(cells)}</tr></table>'


def _sample(mark: str) -> str:
    """The word, with the second border of what is new."""
    word = f'<font point-size="9">{mark_text(mark)}</font>'
    inner = f'<table border="1" color="{COLOUR[mark]}" cellborder="0" cellspacing="0" cellpadding="1">'
    return f"{inner}<tr><td>{word}</td></tr></table>" if mark == NEW else word


def marks_of(
    one: tuple[Network, Boxes], other: tuple[Network, Boxes], statuses: Mapping[str, str]
) -> tuple[Marks, Marks]:
    """The marks of two networks of which each layer is `new`, `gone`, `changed` or the `same`, by name.

    A box is marked if a layer that it stands for differs, or the box of its name on the other side has a layer that
    this side lacks.
    """
    first, second = _Drawn(*one), _Drawn(*other)
    return first.marks(second, statuses), second.marks(first, statuses)


class _Drawn:
    """The names of the layers that each box stands for, and each layer that is drawn."""

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
        """What is marked, held against the other side."""
        boxes, layers = (
            {name: mark for name in own if (mark := self._mark(own[name], theirs.get(name), statuses)) != SAME}
            for own, theirs in ((self.boxes, other.boxes), (self.layers, other.layers))
        )
        return Marks(self.prefix, boxes, layers)

    def _mark(self, own: list[str], theirs: list[str] | None, statuses: Mapping[str, str]) -> str:
        lacking = [name for name in theirs or () if name not in self.names]
        found = {statuses[name] for name in (*own, *lacking)}
        if found == {SAME} or (len(found) == 1 and theirs is None):
            return found.pop()
        return CHANGED
