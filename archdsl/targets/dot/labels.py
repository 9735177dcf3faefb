"""Content of the boxes and titles of a diagram, of its heading and its legend."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archdsl.analysis.cost import Cost, node_cost
from archdsl.targets.dot.look import is_chosen
from archdsl.targets.dot.marks import mark_border, mark_span
from archdsl.targets.dot.opened import step_text
from archdsl.targets.dot.style import (
    COLOURS,
    DASHED,
    FROZEN_INK,
    INK,
    LIGHT_INK,
    LINE,
    SOFT,
    figures,
    multiply_adds,
    parameters,
    shape_text,
    wrapped,
)
from archdsl.targets.dot.text import Cell, Line, Span, Table, Text, broken, line_width
from archdsl.targets.dot.weights import FROZEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.network import Network
    from archdsl.layers.interior import Cell as Step
    from archdsl.targets.dot.boxes import Box, Boxes, Frame
    from archdsl.targets.dot.look import Look
    from archdsl.targets.dot.marks import Marks

Content = Text | Table
TITLE_MARGIN = 4.0  # points at both sides of a title, which is as wide as the picture at most
SHORTER = 0.5  # lines of layers that stand side by side inside of another, compared with others
LONGEST_WORD = 12  # characters of a line of a remark, at the least
NARROW = 24  # characters of a line below which figures stand under the text


class Labels:
    """Writer of labels for the boxes of one network."""

    def __init__(self, network: Network, boxes: Boxes, look: Look, marks: Marks) -> None:
        self.network = network
        self.boxes = boxes
        self.look = look
        self.marks = marks

    def box(self, box: Box) -> Content:
        """Return the content of a box: lines of text, or the table of a stack."""
        size, mark = self.look.type_size, self._word(self.marks.box(box))
        if box.look == "stack":
            return self._stack(box)
        if box.look == "merge":
            word = (Span("\u00a0", size), *mark) if mark else ()
            return Text(((Span(box.title, size), *word),), (size * 0.6, 2), (size * 2.6, size * 1.6))
        if box.look == "input":
            lines = [(Span(box.title, size, bold=True),), (Span(self._input(box), self.look.small, colour=SOFT),)]
            return Text((*lines, *([mark] if mark else [])), (size * 0.7, 3), (size * 4, 0))
        if box.look == "bare":
            return Text(((Span(box.title, size, colour=self.outside),),), (3, 1))
        lines = self._lines(box)
        return Text((*lines, *([mark] if mark else [])), (size * 0.7, size * 0.35), (size * 6, size * 1.9))

    def _input(self, box: Box) -> str:
        """Return what an input is: one that is no features by its kind, unless its name says as much."""
        layer = self.network.node(box.nodes[0]).layer
        return layer.kind if layer.by_name and not layer.kind.startswith(box.title) else "input"

    @property
    def outside(self) -> str:
        """The colour of text outside of boxes."""
        return LIGHT_INK if self.look.dark else INK

    def _lines(self, box: Box) -> list[Line]:
        size, length = self.look.type_size, self.look.line_length
        title = _times(self.boxes.weights.titled(box.title, box.of), box.count)
        parts = wrapped(box.parts, " → " if box.chain else ", ", length, min(14, length // 2))
        lines = [(Span(t, size, bold=bold),) for t, bold in ((box.above, True), (title, not box.above)) if t]
        lines = lines[:1] if box.above == title else lines
        lines += [line for part in parts for line in broken(part, length, size)]
        weights = self.boxes.weights
        if not any("shares weights" in part for part in box.parts):
            lines += self._notes(weights.shared_with(box.of) or weights.shared_inside(box.nodes))
        lines += self._figures(self._cost(box.nodes, box.count))
        return lines + self._notes(self._state(box.nodes, box.count))

    def _cost(self, nodes: Sequence[int], count: int = 1) -> str:
        return figures(self._total(nodes, count)) if self.look.costs else ""

    def _total(self, nodes: Sequence[int], count: int) -> Cost:
        cost = self.boxes.figures.cost(nodes)
        return Cost(cost.params * count, cost.macs * count, frozen=cost.frozen * count)

    def _state(self, nodes: Sequence[int], count: int = 1, frame: Frame | None = None) -> str:
        """Return whether layers are trained, unless a frame around them, or around their `frame`, says it."""
        weights = self.boxes.weights
        for outer in self.boxes.frames.get(nodes[0], ()) if nodes else ():
            if outer is frame:
                break
            if weights.is_frozen(outer.nodes):
                return ""
        return weights.state(nodes, self._total(nodes, count) if self.look.costs else None)

    def _notes(self, *texts: str) -> list[Line]:
        return [line for text in texts if text for line in self._note(text)]

    def _note(self, text: str) -> tuple[Line, ...]:
        """Return a remark on weights in lines."""
        ink = FROZEN_INK if text == FROZEN else SOFT
        lines = broken(text, max(self.look.line_length, LONGEST_WORD), self.look.small)
        return tuple(tuple(span._replace(colour=ink) for span in line) for line in lines)

    def _figures(self, text: str) -> list[Line]:
        """Return the line of a cost; hair spaces of the size of names keep it clear of the underscores above it."""
        blank = Span("\u200a", self.look.type_size)
        return [(blank, Span(text, self.look.small, colour=SOFT), blank)] if text else []

    def _word(self, mark: str) -> Line:
        return mark_span(mark, self.look.small) if mark else ()

    def _stack(self, box: Box) -> Table:
        size = self.look.cell
        cells: list[Cell] = []
        weights = self.boxes.weights
        title = _times(weights.titled(box.title, box.of), box.count)
        above = [Span(box.above, size, bold=True)] if box.above else []
        above += [Span(("\u00a0\u00a0" if above else "") + title, size)] if title else []
        if above:
            lines = (tuple(above), *self._notes(weights.shared_with(box.of)))
            cells.append(Cell(lines, looks=f'bgcolor="#ffffff" color="{LINE}"', head=True))
        cells += [self._step(box, step) for step in box.cells]
        for number in box.nodes if not box.cells else ():
            node = self.network.node(number)
            mark, words = self.marks.layer(node), self._notes(self._state([number]))
            looks = self._looks(node.layer.category, [number], mark)
            below = self._notes(weights.shared_with(node))
            text, words = (
                weights.titled(self.boxes.figures.text(number), node),
                [*words, *([self._word(mark)] if mark else [])],
            )
            cell = self._cell(text, self.look.line_length, looks, self._cost([number]), *words)
            cells.append(replace(cell, lines=(*cell.lines, *below)))
        return Table(tuple(cells))

    def _step(self, box: Box, step: Step) -> Cell:
        """Return the row of a step inside of a layer."""
        [number] = box.nodes
        text = step_text(step)
        cost = figures(Cost(step.params, step.macs)) if self.look.costs else ""
        mark = self.marks.step(self.network.node(number), step.name)
        length = round(SHORTER * self.look.line_length) if box.beside else self.look.line_length
        text = f"{step.name}: {text}" if step.name in self.boxes.opened[number].shared() else text
        words = self._notes(FROZEN if step.frozen and not self.boxes.weights.is_frozen(box.nodes) else "")
        looks = self._looks(step.category, box.nodes, mark, frozen=step.frozen)
        cell = self._cell(text, length, looks, cost, *words, self._word(mark))
        below = broken(f"shares weights with {step.shares}" if step.shares else "", length + 4, self.look.small)
        return replace(cell, lines=(*cell.lines, *below)) if step.shares else cell

    def _looks(self, category: str, nodes: Sequence[int], mark: str, *, frozen: bool = False) -> str:
        """Return the fill and the border of a row."""
        weights = self.boxes.weights
        border = mark_border(mark, weights.line(nodes, frozen=frozen), dashed=category in DASHED)
        return f'bgcolor="{weights.fill(category, nodes, frozen=frozen)}" {border}'

    def _cell(self, text: str, length: int, looks: str, cost: str, *words: Line) -> Cell:
        """Return the row of a layer in a stack, in lines of `length` characters, with words behind its text."""
        size = self.look.cell
        lines = broken(text, length + 4, size)
        for word in filter(None, words):
            lines = (*lines[:-1], (*lines[-1], Span("\u00a0\u00a0", size), *word))
        numbers = self._figures(cost)
        return Cell(lines, numbers[0] if numbers else (), looks, below=length < NARROW)

    def frame(self, frame: Frame) -> Text:
        """Return the title of a frame: name, block, cost of the layers inside, and settings that its boxes share."""
        size = self.look.type_size - 1
        weights, item = self.boxes.weights, frame.of or (self.network.node(frame.opened) if frame.opened >= 0 else None)
        inner = frame.of is not None and frame.above == frame.of.title
        above = weights.titled(frame.above, item) if inner else frame.above
        title = _times(frame.title if inner else weights.titled(frame.title, item), frame.count)
        if not title and not frame.parts:
            return Text(())
        numbers = "" if frame.kind == "lane" else self._cost(frame.nodes)
        numbers += " each" if numbers and frame.count > 1 else ""
        name = Span(above or title, size, bold=frame.kind in ("lane", "stage") or bool(above))
        spans = [name, *([Span(f"\u00a0\u00a0{title}", size)] if above not in ("", title) else [])]
        roomy = self.look.line_length >= NARROW
        figure = Span(("\u00a0\u00a0" if roomy else "") + numbers, self.look.small, colour=SOFT)
        first: Line = (*spans, figure) if numbers and roomy else tuple(spans)
        lines: list[Line] = [first]
        lines += [(figure,)] if numbers and not roomy else []
        mark = self.marks.layer(self.network.node(frame.opened)) if frame.opened >= 0 else ""
        lines += [self._word(mark)] if mark else []
        state = self._state(frame.nodes, frame=frame)
        lines += self._notes(weights.shared_with(item), state if frame.kind != "lane" or state == FROZEN else "")
        for part in wrapped(frame.parts, ", ", self.look.line_length, self.look.line_length):
            lines += broken(part, self.look.line_length, self.look.small)
        return Text(tuple(line for line in lines if line[0].text), (size * 0.6, 2))

    def shape(self, text: str) -> Text:
        """Return the label of an edge, above a horizontal line or in a narrow picture in two lines of text."""
        parts = [text]
        if self.look.centred and " + " in text:
            size, tokens = text.split(" + ", 1)
            parts = [size, f"+ {tokens}"]
        if self.look.wide and text.count("×") > 2:
            channels, frames, rest = text.split("×", 2)
            parts = [f"{channels}×{frames}×", *rest.split(" + ")]
            parts[2:] = [f"+ {more}" for more in parts[2:]]
        return Text(tuple((Span(part, self.look.small, colour=self.outside),) for part in parts))


def heading(network: Network, look: Look, width: float, side: str = "", only: Sequence[str] = ()) -> tuple[Text, Text]:
    """Return the name and the size of a network or of `only` some stages, in lines of at most `width` points."""
    ink = LIGHT_INK if look.dark else INK
    size = look.type_size
    clips = ", ".join(shape_text(network.node(n).shape) for n in network.clips.values())
    nodes = [n for part in network.regions if not only or is_chosen(part, only) for n in part.nodes()]
    cost = sum((node_cost(network.node(n)) for n in nodes), Cost())
    parts = [f"{parameters(cost.params)} parameters", f"{multiply_adds(cost.macs)} multiply-adds"] if look.costs else []
    parts[1:1] = [f"{parameters(cost.trained)} trained"] if parts and cost.frozen else []
    name = Span(f"{network.name}: {', '.join(only)}" if only else network.name, size + 4, bold=True, colour=ink)
    first = (Span(f"{side}\u00a0\u00a0", size - 1, colour=ink), name) if side else (name,)
    parts += [f"input {clips}"] if not only else []
    lines = flowing(parts, " · ", size - 1, ink, width - 2 * TITLE_MARGIN)
    return Text((first,), (TITLE_MARGIN, 0)), Text(tuple(lines), (TITLE_MARGIN, 0) if lines else (0, 0))


def notes(look: Look, common: Sequence[str], width: float, *, explained: bool) -> Text:
    """Return the explanation of the figures, if asked for, and the settings that all blocks of a name share."""
    ink, size = LIGHT_INK if look.dark else INK, look.small
    figures_ = ["in boxes: parameters · multiply-adds"] if look.costs else []
    lines = flowing([*figures_, "at arrows: channels×frames×height×width"], "; ", size, ink, width) if explained else []
    for text in common:
        lines += flowing(text.split(", "), ", ", size, ink, width)
    return Text(tuple(lines))


def flowing(parts: Sequence[str], between: str, size: float, ink: str, width: float) -> list[Line]:
    """Return parts in as few lines of at most `width` points as they allow."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]}{between}{part}" if lines else part
        if lines and line_width((Span(joined, size),)) <= 0.95 * width:  # letters are rounded to pixels
            lines[-1] = joined
        else:
            lines.append(part)
    return [(Span(line, size, colour=ink),) for line in lines]


def legend(categories: Sequence[str]) -> list[str]:
    """Return the categories of a legend, in order."""
    known = [c for c in COLOURS if c in categories and c != "input"]
    return known + [c for c in dict.fromkeys(categories) if c and c not in COLOURS]


def _times(title: str, count: int) -> str:
    return f"{title} ×{count}".strip() if count > 1 else title
