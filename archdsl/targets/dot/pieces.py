"""Pieces of a drawing: boxes in rows along the flow, branches side by side, frames around them.

Positions are (u, v) in points: u grows along the flow, v across it, to the right or, where the flow is from left to
right, downwards. A piece has a length along the flow, and extends `before` and `behind` its axis, on which values enter
and leave it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.targets.dot.layout import Edge
    from archdsl.targets.dot.look import Look

ARROW = 7.0  # length of an arrow's head
BESIDE = 3.0  # between a line and its label
CHANNEL = 9.0  # between lines side by side
PAD = 7.0  # between a frame and what is inside


class Rect(NamedTuple):
    """A rectangle: u from `u0` to `u1`, v from `v0` to `v1`."""

    u0: float
    u1: float
    v0: float
    v1: float

    @property
    def cu(self) -> float:
        """Its centre along the flow."""
        return (self.u0 + self.u1) / 2

    @property
    def cv(self) -> float:
        """Its centre across the flow."""
        return (self.v0 + self.v1) / 2


@dataclass
class Places:
    """Positions of everything in a drawing, by the ids of boxes and frames, and by edge."""

    boxes: dict[str, Rect] = field(default_factory=dict[str, Rect])
    frames: dict[str, Rect] = field(default_factory=dict[str, Rect])
    labels: dict[Edge, Rect] = field(default_factory=dict["Edge", Rect])
    channels: dict[Edge, float] = field(default_factory=dict["Edge", float])  # v of a line beside the boxes it passes
    buses: dict[Edge, float] = field(default_factory=dict["Edge", float])  # u at which a line turns to its branch
    dropping: set[Edge] = field(default_factory=set["Edge"])  # lines that leave an input at its side


class Piece(Protocol):
    """A part of a drawing that can be placed."""

    name: str
    length: float
    before: float
    behind: float

    @property
    def entry(self) -> float:
        """The smallest v, relative to the axis, at which a value enters."""
        ...

    def place(self, u: float, v: float, places: Places) -> None:
        """Record the positions of what is inside; the piece begins at `u`, and its axis is at `v`."""
        ...


class Leaf:
    """A box, a title or another single thing."""

    entry = 0.0

    def __init__(self, name: str, length: float, width: float) -> None:
        self.name = name
        self.length = length
        self.before = self.behind = width / 2

    def place(self, u: float, v: float, places: Places) -> None:
        """Record its position."""
        places.boxes[self.name] = Rect(u, u + self.length, v - self.before, v + self.behind)


class Enclosure:
    """A frame around a piece. `corner` is the size, u by v, of a title that no value enters."""

    def __init__(
        self, name: str, content: Piece, pad: float, corner: tuple[float, float] | None, *, wide: bool
    ) -> None:
        self.name, self.content, self.pad, self.corner, self.wide = name, content, pad, corner, wide
        self.length, self.before, self.behind = content.length + 2 * pad, content.before + pad, content.behind + pad
        if corner is None:
            return
        length, width = corner
        if wide:
            self.before += width + 3
            self.length = max(self.length, length + 2 * pad)
        else:
            self.length += length + 3
            self.before = max(self.before, width + pad + 6 - content.entry)

    @property
    def entry(self) -> float:
        """The smallest v, relative to the axis, at which a value enters."""
        return self.content.entry if self.corner else 0.0

    def place(self, u: float, v: float, places: Places) -> None:
        """Record the positions of the frame, its title and its content."""
        places.frames[self.name] = Rect(u, u + self.length, v - self.before, v + self.behind)
        inside = u + self.pad
        if self.corner is not None:
            length, width = self.corner
            left = v - self.before + self.pad
            places.boxes[self.name] = Rect(inside, inside + length, left, left + width)
            inside += 0 if self.wide else length + 3
        self.content.place(inside, v, places)


class Label(NamedTuple):
    """The label of an edge, with its size along and across the flow."""

    edge: Edge
    length: float
    width: float
    centred: bool = False  # on the line, which is interrupted

    def before(self, *, wide: bool) -> float:
        """Return how far it extends before the line."""
        return self.width / 2 if self.centred else self.width + 1 if wide else 0.0

    def behind(self, *, wide: bool) -> float:
        """Return how far it extends behind the line."""
        return self.width / 2 if self.centred else 0.0 if wide else BESIDE + self.width


def label_place(label: Label, u: float, v: float, room: float, *, wide: bool) -> Rect:
    """Return the place of a label beside a line at `v` that begins at `u` and has `room` before its arrow."""
    start = u + max(1.0, 0.0 if label.centred else (room - label.length) / 2)
    right = v + label.behind(wide=wide) - (1 if wide else 0)
    return Rect(start, start + label.length, right - label.width, right)


def gap_for(label: Label | None, look: Look, *, turns: bool = False) -> float:
    """Return the distance between two pieces in a row, so that a label, an arrow, and a line that turns fit between."""
    plain = max(ARROW + 4, 13 * look.scale)
    if label is not None:
        plain = max(plain, label.length + ARROW + (2 if look.wide else 4))
    return plain + (6 if turns else 0)


@dataclass
class Jump:
    """An edge beside the pieces of a row, from one of them to a later one."""

    first: int
    last: int
    edge: Edge
    before: bool = False  # on the side before the axis


@dataclass
class Between:
    """Gaps and labels behind each piece of a row but the last, and the edges beside and to them."""

    gaps: list[float]
    labels: Sequence[Label | None]
    jumps: Sequence[Jump] = ()
    turning: Sequence[tuple[int, Edge]] = ()  # edges that turn to a branch of a piece, with its number


class Row:
    """Pieces along the flow, on one axis, with edges between them and beside them."""

    name = ""

    def __init__(self, pieces: Sequence[Piece], between: Between, *, wide: bool) -> None:
        self.pieces, self.wide = pieces, wide
        self.gaps, self.labels, self.turning = between.gaps, between.labels, between.turning
        self.length = sum(p.length for p in pieces) + sum(self.gaps)
        last = len(pieces) - 1
        before = self._beside([j for j in between.jumps if j.before])
        behind = self._beside([j for j in between.jumps if not j.before])
        self.before = max(self._extent(0, last, before=True), *before.values(), 0.0)
        self.behind = max(self._extent(0, last), *behind.values(), 0.0)
        self._channels = behind | {edge: -distance for edge, distance in before.items()}

    def settle(self, floors: Mapping[str, float]) -> None:
        """Enlarge gaps so that a piece whose name is in `floors` begins there or later."""
        u = 0.0
        for k, piece in enumerate(self.pieces):
            short = floors.get(piece.name, u) - u
            if k and short > 0:
                self.gaps[k - 1] += short
                u += short
            u += piece.length + (self.gaps[k] if k < len(self.gaps) else 0)
        self.length = u

    def _extent(self, first: int, last: int, *, before: bool = False) -> float:
        """Return how far some pieces, and the labels between them, extend behind the axis, or before it."""
        labels = [label for label in self.labels[first:last] if label]
        pieces = self.pieces[first : last + 1]
        if before:
            return max([p.before for p in pieces] + [label.before(wide=self.wide) for label in labels])
        return max([p.behind for p in pieces] + [label.behind(wide=self.wide) for label in labels])

    def _beside(self, jumps: Sequence[Jump]) -> dict[Edge, float]:
        """Return the distance from the axis of each edge beside the pieces, so that no two of them meet."""
        found: dict[Edge, float] = {}
        done: list[tuple[Jump, float]] = []
        for jump in sorted(jumps, key=lambda j: (j.last - j.first, j.first)):
            extent = self._extent(jump.first, jump.last, before=jump.before)
            met = [d for other, d in done if max(other.first, jump.first) < min(other.last, jump.last)]
            found[jump.edge] = max([extent, *met]) + CHANNEL
            done.append((jump, found[jump.edge]))
        return found

    @property
    def entry(self) -> float:
        """The smallest v, relative to the axis, at which a value enters."""
        return self.pieces[0].entry

    def place(self, u: float, v: float, places: Places) -> None:
        """Record the positions of the pieces, of labels between them and of lines beside them."""
        starts: list[float] = []
        for i, piece in enumerate(self.pieces):
            starts.append(u)
            piece.place(u, v, places)
            u += piece.length
            if i < len(self.gaps):
                if label := self.labels[i]:
                    turns = any(k == i + 1 for k, _ in self.turning)
                    room = self.gaps[i] - ARROW - (6 if turns else 0)
                    places.labels[label.edge] = label_place(label, u, v, room, wide=self.wide)
                u += self.gaps[i]
        for k, edge in self.turning:
            places.buses[edge] = starts[k] - ARROW - 3
        for edge, distance in self._channels.items():
            places.channels[edge] = v + distance


class Parallel:
    """Branches side by side, in their order, each with the label of the line that leaves it.

    The one of number `axis` is on the axis, or all are centred on it.
    """

    name = ""

    def __init__(
        self, branches: Sequence[tuple[Piece, Label | None]], axis: int | None, gap: float, *, wide: bool
    ) -> None:
        self.branches = [piece for piece, _ in branches]
        self.tails = [tail for _, tail in branches]
        self.wide = wide
        self.length = max(piece.length + (tail.length + 3 if tail else 0) for piece, tail in branches)
        sides = [self._sides(piece, tail) for piece, tail in branches]
        order = list(range(len(branches)))
        if axis is not None:
            order = [axis, *(k for k in order if k != axis)]
        offsets = {order[0]: 0.0}
        for one, other in pairwise(order):
            offsets[other] = offsets[one] + sides[one][1] + gap + sides[other][0]
        if axis is None:
            left, right = sides[order[0]][0], offsets[order[-1]] + sides[order[-1]][1]
            centre = offsets[order[len(order) // 2]] if len(order) % 2 else (right - left) / 2
            offsets = {k: o - centre for k, o in offsets.items()}
        self.offsets = offsets
        self.before = max(sides[k][0] - o for k, o in offsets.items())
        self.behind = max(sides[k][1] + o for k, o in offsets.items())

    def _sides(self, branch: Piece, tail: Label | None) -> tuple[float, float]:
        """Return how far a branch, and the label of the line that leaves it, extend before and behind its axis."""
        if tail is None:
            return branch.before, branch.behind
        return max(branch.before, tail.before(wide=self.wide)), max(branch.behind, tail.behind(wide=self.wide))

    @property
    def entry(self) -> float:
        """The smallest v, relative to the axis, at which a value enters."""
        return min(o + self.branches[k].entry for k, o in self.offsets.items())

    def place(self, u: float, v: float, places: Places) -> None:
        """Record the positions of the branches and of the labels behind them."""
        for k, branch in enumerate(self.branches):
            branch.place(u, v + self.offsets[k], places)
            if tail := self.tails[k]:
                after = u + branch.length
                places.labels[tail.edge] = label_place(tail, after, v + self.offsets[k], 0, wide=self.wide)
