"""Marks for the differences between two networks: a word, and borders that differ in more than colour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archdsl.core.changes import CHANGED, GONE, NEW, SAME
from archdsl.targets.dot.edits import FOLLOWS
from archdsl.targets.dot.text import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from archdsl.ir.network import Network, Node
    from archdsl.targets.dot.boxes import Box, Boxes
    from archdsl.targets.dot.text import Line

COLOUR = {CHANGED: "#8f4400", FOLLOWS: "#4b5a6b", NEW: "#14602b", GONE: "#9c1724"}
WIDTH = {CHANGED: "2.2", FOLLOWS: "1.4", NEW: "3", GONE: "2.2"}
STYLE = {FOLLOWS: "dotted", GONE: "dashed"}
EXPLAINED = {
    CHANGED: "changed", FOLLOWS: "follows: only shapes or costs differ", NEW: "new", GONE: "gone",
}  # fmt: skip


@dataclass(frozen=True)
class Marks:
    """Marks (`new`, `gone`, `changed`, `follows`) by a box's id without prefix, and by a layer's name in a stack."""

    prefix: str = ""
    boxes: Mapping[str, str] = field(default_factory=dict[str, str])
    layers: Mapping[str, str] = field(default_factory=dict[str, str])

    def box(self, box: Box) -> str:
        """Return the mark of a box; empty if it is the same."""
        return self.boxes.get(box.id.removeprefix(self.prefix), "")

    def layer(self, node: Node) -> str:
        """Return the mark of a drawn layer and its folded copies; empty if they are the same."""
        return self.layers.get(node.name, "")

    def step(self, node: Node, name: str) -> str:
        """Return the mark of a step inside of a layer; empty if it is the same."""
        return self.layers.get(step_name(node.name, name), "")

    def drawn(self, level: str) -> set[str]:
        """Return the marks that occur in a diagram of a level."""
        return {*self.boxes.values(), *(self.layers.values() if level == "layer" else ())}

    def marked(self, mark: str, settings: dict[str, str]) -> dict[str, str]:
        """Return the Graphviz attributes of a box, with those of its mark added."""
        if not mark:
            return settings
        return settings | border(mark, settings.get("style", "")) | {"class": f"{settings['class']} {mark}"}


UNMARKED = Marks()


def step_name(layer: str, step: str) -> str:
    """Return the name of a step inside of a layer, among the names of layers."""
    return f"{layer}/{step}"


def border(mark: str, style: str) -> dict[str, str]:
    """Return the Graphviz attributes of a mark's border, for a box of some style."""
    result = {"color": COLOUR[mark], "penwidth": WIDTH[mark]}
    if mark in STYLE:
        result["style"] = f"{style.removesuffix(',dashed')},{STYLE[mark]}"
    return result


def mark_span(mark: str, size: float) -> Line:
    """Return the word of a mark."""
    return (Span(mark, size, bold=True),)


def mark_border(mark: str, line: str, *, dashed: bool) -> str:
    """Return the border attributes of a layer's cell; without a mark, `line` is its colour, and it may be `dashed`."""
    if not mark:
        return f'color="{line}"' + (' style="dashed"' if dashed else "")
    return f'color="{COLOUR[mark]}" border="2"' + (f' style="{STYLE[mark]}"' if mark in STYLE else "")


def marks_of(
    one: tuple[Network, Boxes], other: tuple[Network, Boxes], statuses: Mapping[str, str]
) -> tuple[Marks, Marks]:
    """Return the marks of two networks; `statuses` has the mark of each layer, or `same`, by its name.

    A box is marked if one of its layers differs, or the box of its name on the other side has a layer that this
    side lacks.
    """
    first, second = _Drawn(*one), _Drawn(*other)
    return first.marks(second, statuses, GONE), second.marks(first, statuses, NEW)


class _Drawn:
    """The names of the layers that each box, and each drawn layer, represents."""

    def __init__(self, network: Network, boxes: Boxes) -> None:
        self.prefix = boxes.prefix
        self.names = {node.name for node in network.all_nodes()}
        self.boxes: dict[str, list[str]] = {}
        self.layers: dict[str, list[str]] = {}
        self.steps = {network.node(n).name: opened.steps() for n, opened in boxes.opened.items()}
        for node in network.all_nodes():
            number = boxes.copies.drawn(node.id)
            box = boxes.home[number].id.removeprefix(boxes.prefix)
            self.boxes.setdefault(box, []).append(node.name)
            self.layers.setdefault(network.node(number).name, []).append(node.name)

    def marks(self, other: _Drawn, statuses: Mapping[str, str], alone: str) -> Marks:
        """Return the marks of this side, compared with the other side; `alone` is that of what the other lacks."""
        boxes, layers = (
            {name: mark for name in own if (mark := self._mark(own[name], theirs.get(name), statuses)) != SAME}
            for own, theirs in ((self.boxes, other.boxes), (self.layers, other.layers))
        )
        for layer in self.steps:
            layers |= dict(self._step_marks(layer, other, layers.get(layer, SAME), alone))
        return Marks(self.prefix, boxes, layers)

    def _step_marks(self, layer: str, other: _Drawn, mark: str, alone: str) -> Iterator[tuple[str, str]]:
        """Yield the names and marks of the steps inside of an opened layer of some mark."""
        theirs = other.steps.get(layer)
        for name, own in self.steps[layer].items():
            if theirs is None and mark == alone:
                yield step_name(layer, name), alone
            elif theirs is not None and mark != SAME and own != theirs.get(name):
                same_text = name in theirs and own[0] == theirs[name][0]
                yield step_name(layer, name), alone if name not in theirs else FOLLOWS if same_text else CHANGED

    def _mark(self, own: list[str], theirs: list[str] | None, statuses: Mapping[str, str]) -> str:
        lacking = [name for name in theirs or () if name not in self.names]
        distinct = {statuses[name] for name in (*own, *lacking)}
        if distinct == {SAME} or (len(distinct) == 1 and theirs is None):
            return distinct.pop()
        return FOLLOWS if distinct <= {SAME, FOLLOWS} else CHANGED
