"""The graph inside of an attention in lines: layers of each branch, the formula where branches meet, the projection."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import TYPE_CHECKING

from archdsl.core.grid import Grid
from archdsl.layers.attention_arguments import (
    CONCATENATION,
    COSINE,
    DOT_PRODUCT,
    LETTERS,
    LINES,
    RESULT_LINE,
    SOFTMAX,
    TOKEN,
)
from archdsl.layers.attention_lines import OUTSIDE, RESULT, Origin, X
from archdsl.layers.interior import OUTER, Cell, Interior, Part

if TYPE_CHECKING:
    from archdsl.layers.attention_lines import Application, Lines
    from archdsl.layers.base import Layer

ATTENTION = "attention"  # the category of what happens between positions
EACH_HEAD = "each head"
FORMULAS = {  # of scores, and of the weights that they become
    SOFTMAX: ("{q}·{k}", "softmax({})"),
    COSINE: ("factor · cos({q}, {k})", "softmax({})"),
    DOT_PRODUCT: ("{q}·{k} / N", "({})"),
    CONCATENATION: ("relu(w · [{q}, {k}]) / N", "({})"),
}


def interior_of(lines: Lines, params: int, macs: int) -> Interior | None:
    """Return the interior of an attention of some parameters and multiply-adds; None if it only has projections."""
    names = [(a.name, a.layer.projects) for a in lines.applications]
    is_usual = not lines.biases and len(lines.between.over) == 1 and names == [("qkv", True), (RESULT_LINE, True)]
    if is_usual and len({a.frozen for a in lines.applications}) == 1:
        return None
    return _Builder(lines, params, macs).interior()


class _Builder:
    """Builder of the parts. Parameters and multiply-adds that are no layer's belong to the formula."""

    def __init__(self, lines: Lines, params: int, macs: int) -> None:
        self.lines = lines
        self.params = int(params) - sum(map(_params, lines.applications))
        self.macs = int(macs) - sum(map(_macs, lines.applications))
        self.parts: list[Part] = []
        self.places = {Origin(X): OUTER}  # of values, by the numbers of parts
        self.places |= {Origin(OUTSIDE - n): OUTER - k for k, n in enumerate(lines.externals, start=1)}
        self.names: dict[Origin, int] = {}  # the same, of branches at their ends
        self.asides: dict[Origin, tuple[str, Layer]] = {}  # steps that are drawn with their reader
        read = [o for a in lines.applications for origins in a.inputs for o in origins]
        self.readers = Counter(map(self._whole, [*read, *lines.branches.values()]))

    def interior(self) -> Interior:
        """Return all parts, in the order of data flow, those of queries first."""
        branches = {name: self.lines.branches[name] for name in LINES if name in self.lines.branches}
        result = branches.pop(RESULT_LINE)
        ends: dict[int, Origin] = {}
        for name, origin in branches.items():
            shape = self.lines.shapes[name]
            part = Part(name, [], (self._place(origin),), (shape,), shape)
            ends[len(self.parts)] = origin
            self.parts.append(part)
        self._meet(tuple(ends))
        self.names |= {origin: number for number, origin in reversed(ends.items())}
        self._place(result)
        between = self.lines.between
        usual = {name: between.attributes[name].default for name in ("score", "scale")}
        return Interior(between.changed(**usual), self.parts)

    # --- layers ---

    def _whole(self, origin: Origin) -> Origin:
        """Return the value of which an origin is a part: branches that share a value have rows of it."""
        if origin.application < 0 or len(self.lines.applications[origin.application].inputs) > 1:
            return origin
        return Origin(origin.application)

    def _place(self, origin: Origin) -> int:
        """Return the number of the part that gives a value, after adding it, and before it those that it reads."""
        waiting = [origin]  # not by recursion: a line can have thousands of layers
        while waiting:
            value = self._whole(waiting[-1])
            if self._known(waiting[-1]) is None:
                read = self.lines.applications[value.application].inputs[value.part]
                if missing := [o for o in read if self._known(o) is None]:
                    waiting += reversed(missing)
                    continue
                self.places[value] = self._add(value, read)
            waiting.pop()
        return self.places[self._whole(origin)] if origin not in self.names else self.names[origin]

    def _known(self, origin: Origin) -> int | None:
        return self.names[origin] if origin in self.names else self.places.get(self._whole(origin))

    def _add(self, value: Origin, origins: tuple[Origin, ...]) -> int:
        """Add the layer that gives a value; branches that have parted have their own, even of one tensor."""
        application = self.lines.applications[value.application]
        pieces, layer = len(application.inputs), application.layer
        inputs = tuple(number for o in origins if (number := self._known(o)) is not None)
        if self._is_aside(application, origins):
            self.asides[value] = self.parts[inputs[0]].title, layer
            return inputs[0]
        name = f"{application.name}.{value.part}" if pieces > 1 else application.name
        shares = "" if application.owner is None else name
        name = f"{name}_again.{value.application}" if shares else name
        aside = next((self.asides[o] for o in map(self._whole, origins) if o in self.asides), None)
        cost = _params(application) // pieces, _macs(application) // pieces
        frozen = application.frozen and bool(layer.weights(*application.shapes))
        cell = Cell(name, layer, layer.category, *cost, aside, shares, frozen)
        title = EACH_HEAD if application.by_head and application.heads > 1 else ""
        shape, *entering = (_outside(application, s) for s in (application.shape, *application.shapes))
        part = Part(title, [cell], inputs, tuple(entering), shape)
        if self._joins(part, layer, origins):
            before = self.parts[inputs[0]]
            before.cells.append(cell)
            before.shape = shape
            return inputs[0]
        self.parts.append(part)
        return len(self.parts) - 1

    def _is_aside(self, application: Application, origins: tuple[Origin, ...]) -> bool:
        """Return True for a step without weights that takes a branch on to the last line."""
        is_simple = not application.layer.heavy and not application.weights() and application.owner is None
        return is_simple and len(origins) == 1 and origins[0] in self.names

    def _joins(self, part: Part, layer: Layer, origins: tuple[Origin, ...]) -> bool:
        """Return True if a layer continues the part before it, whose shape it keeps and which no other layer reads."""
        if len(origins) != 1 or part.inputs[0] < 0 or layer.heavy or self.readers[self._whole(origins[0])] > 1:
            return False
        before = self.parts[part.inputs[0]]
        is_same = str(part.shape) == str(before.shape) == str(part.entering[0])
        return bool(before.cells) and before.title == part.title and is_same

    # --- where branches meet ---

    def _meet(self, ends: tuple[int, ...]) -> None:
        """Add the formula behind the names of the branches."""
        self.places[Origin(RESULT)] = len(self.parts)
        entering = tuple(self.parts[end].shape for end in ends)
        self.parts.append(Part("", self._cells(), ends, entering, self._result()))

    def _result(self) -> Grid:
        """Return the shape of the result: the positions of the queries, and the channels of the values."""
        q, v, between = self.lines.shapes["q"], self.lines.shapes["v"], self.lines.between
        channels = int(v.channels) // int(between.kv_heads or between.heads) * int(between.heads)
        return Grid(channels, q.t, q.h, q.w, q.tokens)

    def _cells(self) -> list[Cell]:
        """Return the formula, parts of the heads that look along different axes, and biases."""
        lines, over = self.lines, self.lines.between.over
        cells = [Cell("scores", self._formula(*LETTERS), ATTENTION, self.params, self.macs)]
        if any(name.startswith(TOKEN) for name in lines.branches):
            letters = [TOKEN + x if TOKEN + x in lines.branches else x for x in LETTERS]
            cells.append(Cell(TOKEN, f"class token: {self._formula(*letters)}", ATTENTION))
        heads = int(lines.between.heads) // len(over)
        for number, axes in enumerate(over if len(over) > 1 else ()):
            text = f"heads {number * heads + 1}–{(number + 1) * heads} over {axes}"
            cells.append(Cell(f"heads.{number}", text, ATTENTION))
        return cells + [Cell(b.label, b.layer, ATTENTION, frozen=b.frozen) for b in lines.biases]

    def _formula(self, q: str, k: str, v: str) -> str:
        between = self.lines.between
        scores, weights = FORMULAS[between.score]
        scores = scores.format(q=q, k=k)
        if between.score == SOFTMAX and between.scale:
            scores += f" / √{int(self.lines.shapes['q'].channels) // int(between.heads)}"
        if between.cap:
            scores = f"{between.cap:g} · tanh({scores} / {between.cap:g})"
        scores = " + ".join([scores, *(b.layer.kind for b in self.lines.biases)])
        return f"{weights.format(scores)} · {v}"


def _params(application: Application) -> int:
    return sum(prod(map(int, shape)) for shape in application.weights().values())


def _macs(application: Application) -> int:
    """Return the multiply-adds of a layer; queries of class tokens are computed at the tokens alone."""
    x = application.shapes[0]
    alone = application.letters == f"{TOKEN}{LETTERS[0]}"
    macs, tokens = int(application.macs()), int(x.token_count)
    return macs * tokens // (int(x.positions) + tokens) if alone else macs


def _outside(application: Application, shape: Grid) -> Grid:
    """Return the shape of all heads, with tokens that pass."""
    channels = int(shape.channels) * (int(application.heads) if application.by_head else 1)
    return Grid(channels, shape.t, shape.h, shape.w, next(filter(None, application.tokens), shape.tokens))
