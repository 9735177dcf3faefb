"""Lines of the edges: straight, with a turn to or from a branch, or beside the boxes that they pass."""

from __future__ import annotations

from itertools import pairwise
from math import floor, inf
from typing import TYPE_CHECKING

from archdsl.targets.dot.pieces import ARROW
from archdsl.targets.dot.shortest import ALONG, Steps, shortest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archdsl.targets.dot.layout import Edge
    from archdsl.targets.dot.pieces import Places, Rect
    from archdsl.targets.dot.shortest import Point, Straight

SHORT = 8.0  # of a line that looks like another
NEAR = 0.5
CLEAR = 13.0  # of a line that enters a box at its side
WIDE = 60.0  # of a box that lines from beside its corners enter near them
INSIDE = 10.0  # between such a line and the corner
APART = 9.0  # between lines that enter a box at one side


class Router:
    """Router of edges between placed boxes.

    `entries` and `exits` give the u, from the top of a box, at which a line enters or leaves it at its side.
    `around` gives the ids of the frames around a drawn node.
    """

    def __init__(
        self,
        places: Places,
        around: Callable[[str], set[str]],
        entry: Callable[[str], float],
        leave: Callable[[str], float],
    ) -> None:
        self.places = places
        self.around = around
        self.entry = entry
        self.leave = leave
        self._tracks: list[tuple[float, float, float]] = []  # the u, and the v from and to, of lines that turn
        self._drawn = Drawn()
        for f in places.frames.values():
            self._drawn.add([(f.u0, f.v0), (f.u1, f.v0), (f.u1, f.v1), (f.u0, f.v1), (f.u0, f.v0)])

    def route(self, edge: Edge) -> list[Point]:
        """Return the corners of an edge's line, from the border of its source to that of its target."""
        path = self._route(edge)
        self._drawn.add(path, edge)
        return path

    def _route(self, edge: Edge) -> list[Point]:
        obstacles = self._obstacles(edge)
        blocked: list[Point] = []
        unclear: list[Point] = []
        for path in self._candidates(edge):
            if touches(path, obstacles):
                blocked = blocked or path
            elif self._drawn.runs_along(path, edge):
                unclear = unclear or path
            else:
                return path
        one, other = self.places.boxes[edge.source], self.places.boxes[edge.target]
        straight = [(one.u1, one.cv), (other.u0, other.cv)]
        clear = self._detour(edge, obstacles, self._drawn.others(edge))
        return clear or unclear or self._detour(edge, obstacles, []) or blocked or straight

    def _obstacles(self, edge: Edge) -> list[Rect]:
        """Return the boxes, the frames and the labels that a line must not touch."""
        ends = {edge.source, edge.target}
        inside = self.around(edge.source) | self.around(edge.target)
        boxes = [r for name, r in self.places.boxes.items() if name not in ends]
        frames = [r for name, r in self.places.frames.items() if name not in inside and name not in ends]
        axis = self.places.boxes[edge.source].cv
        shared = {e for e, r in self.places.labels.items() if e.source == edge.source and abs(r.cv - axis) < NEAR}
        labels = [r for other, r in self.places.labels.items() if other != edge and other not in shared]
        if (own := self.places.labels.get(edge)) is not None and not own.v0 < axis < own.v1:
            labels.append(own)  # beside the line, which must not turn across it
        return boxes + frames + labels

    def _candidates(self, edge: Edge) -> Iterator[list[Point]]:
        """Yield lines that an edge may have, the best first."""
        one, other = self.places.boxes[edge.source], self.places.boxes[edge.target]
        aim = other.u0 + self.entry(edge.target)
        if edge in self.places.channels:
            yield from self._beside(edge, one, other, aim)
        elif abs(one.cu - aim) < NEAR or abs(one.cu - other.cu) < NEAR:
            yield [(one.cu, _side(one, other.cv)), (one.cu, _side(other, one.cv))]
        if other.u0 >= one.u1:
            yield from self._onwards(edge, one, other, aim)

    def _onwards(self, edge: Edge, one: Rect, other: Rect, aim: float) -> Iterator[list[Point]]:
        """Yield lines to a box that begins behind the source's end."""
        if within(one.cv, other):
            yield [(one.u1, one.cv), (other.u0, one.cv)]
        elif within(other.cv, one):
            yield [(one.u1, other.cv), (other.u0, other.cv)]
        if edge in self.places.dropping:
            yield [(one.cu, _side(one, other.cv)), (one.cu, other.cv), (other.u0, other.cv)]
        if edge in self.places.buses:
            turn = self.places.buses[edge]
            yield [(one.u1, one.cv), (turn, one.cv), (turn, other.cv), (other.u0, other.cv)]
        if not other.v0 - CLEAR < one.cv < other.v1 + CLEAR:
            for u in self._aims(edge, aim):
                yield [(one.u1, one.cv), (u, one.cv), (u, _side(other, one.cv))]
        elif other.v1 - other.v0 > WIDE and not within(one.cv, other):
            inside = min(max(one.cv, other.v0 + INSIDE), other.v1 - INSIDE)
            turn = max((one.u1 + other.u0 - ARROW) / 2, other.u0 - ARROW - INSIDE)
            yield [(one.u1, one.cv), (turn, one.cv), (turn, inside), (other.u0, inside)]
        yield from self._around(edge, one, other)

    def _beside(self, edge: Edge, one: Rect, other: Rect, aim: float) -> Iterator[list[Point]]:
        channel = self.places.channels[edge]
        aim += self._apart(edge, other)
        begin = one.u0 + self.leave(edge.source)
        yield [(begin, _side(one, channel)), (begin, channel), (aim, channel), (aim, _side(other, channel))]
        frames = [self.places.frames[name] for name in self.around(edge.source) - self.around(edge.target)]
        if frames:  # from the line that leaves the frame
            below = max(f.u1 for f in frames) + 5
            yield [(one.u1, one.cv), (below, one.cv), (below, channel), (aim, channel), (aim, other.v1)]

    def _apart(self, edge: Edge, other: Rect) -> float:
        """Return how far from the place of entry an edge enters its target, where several do at the same side.

        The nearest line enters first, so that none crosses another.
        """
        side = [e for e in self.places.channels if e.target == edge.target and self._side_of(e) == self._side_of(edge)]
        gap = min(APART, (other.u1 - other.u0) / (len(side) + 1))
        order = sorted(side, key=lambda e: abs(self.places.channels[e] - other.cv))
        return gap * (order.index(edge) - (len(side) - 1) / 2) if gap > INSIDE / 2 else 0.0

    def _side_of(self, edge: Edge) -> float:
        return _side(self.places.boxes[edge.target], self.places.channels[edge])

    def _around(self, edge: Edge, one: Rect, other: Rect) -> Iterator[list[Point]]:
        """Yield lines with a turn before the target's frame."""
        frames = [self.places.frames[name] for name in self.around(edge.target) - self.around(edge.source)]
        top = min([f.u0 for f in frames] + [other.u0])
        for k in range(4):
            turn = top - 10 - 5 * k
            low, high = sorted((one.cv, other.cv))
            if all(abs(t - turn) > NEAR or b <= low or a >= high for t, a, b in self._tracks):
                self._tracks.append((turn, low, high))
                yield [(one.u1, one.cv), (turn, one.cv), (turn, other.cv), (other.u0, other.cv)]

    def _detour(self, edge: Edge, obstacles: Sequence[Rect], along: Sequence[Straight]) -> list[Point]:
        """Return the line of fewest turns and length that meets no obstacle and is not `along` others, or nothing."""
        one, other = self.places.boxes[edge.source], self.places.boxes[edge.target]
        aim, begin = other.u0 + self.entry(edge.target), one.u0 + self.leave(edge.source)
        starts = [((one.u1, one.cv), 0), ((begin, one.v1), 1), ((begin, one.v0), 1)]
        goals = {(other.u0, other.cv): 0} | {(u, v): 1 for u in self._aims(edge, aim) for v in (other.v1, other.v0)}
        rects = [*obstacles, *map(_shrunk, (one, other))]
        inside = self._inside(edge)
        ends = [p for p, _ in starts] + list(goals)
        # distances of lines from what they pass, and the least that is left of them elsewhere
        for near, margin in (((6.0,), 2.0), ((6.0, 2.5), 2.0), ((6.0, 2.5), 0.5)):
            us = {x for r in rects for d in near for x in (r.u0 - d, r.u1 + d)}.union(u for u, _ in ends)
            vs = {x for r in rects for d in near for x in (r.v0 - d, r.v1 + d)}.union(v for _, v in ends)
            us, vs = (
                {x for x in at if low < x < high}.union(own)
                for at, (low, high), own in zip((us, vs), inside, zip(*ends, strict=True), strict=True)
            )
            if path := shortest(starts, goals, Steps((sorted(us), sorted(vs)), rects, margin, along)):
                return path
        return []

    def _aims(self, edge: Edge, aim: float) -> list[float]:
        """Return where the side of its target an edge may enter: a dashed one above or below a line of a value, too."""
        box = self.places.boxes[edge.target]
        more = (aim + APART, aim - APART) if edge.aside else ()
        return [aim, *(u for u in more if box.u0 + INSIDE < u < box.u1 - INSIDE)]

    def _inside(self, edge: Edge) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the extents, along and across the flow, of the frames around both ends of a line."""
        frames = [self.places.frames[name] for name in self.around(edge.source) & self.around(edge.target)]
        low = [max((f[side] for f in frames), default=-inf) for side in (0, 2)]
        high = [min((f[side] for f in frames), default=inf) for side in (1, 3)]
        return (low[0], high[0]), (low[1], high[1])


class Drawn:
    """The straight parts of lines and borders on which other lines must not run."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int], list[tuple[Edge | None, Straight]]] = {}  # by axis and about where on it

    def add(self, path: Sequence[Point], edge: Edge | None = None) -> None:
        """Add the line of an edge, or a border."""
        for part in pairwise(path):
            for axis in (0, 1):
                if part[0][axis] == part[1][axis]:
                    self._parts.setdefault((axis, floor(part[0][axis] / ALONG)), []).append((edge, part))

    def others(self, edge: Edge) -> list[Straight]:
        """Return borders and what is drawn of other values that go elsewhere."""
        return [part for parts in self._parts.values() for other, part in parts if _is_other(edge, other)]

    def runs_along(self, path: Sequence[Point], edge: Edge) -> bool:
        """Return True if a line of an edge runs on one of these for a while."""
        return any(
            _is_other(edge, other) and _is_along(one, part) for one in pairwise(path) for other, part in self._by(one)
        )

    def _by(self, line: Straight) -> Iterator[tuple[Edge | None, Straight]]:
        for axis in (0, 1):
            if line[0][axis] == line[1][axis]:
                for near in (-1, 0, 1):
                    yield from self._parts.get((axis, floor(line[0][axis] / ALONG) + near), ())


def _is_other(edge: Edge, other: Edge | None) -> bool:
    """Return True for a border, and for a line that a line of this edge must not be taken for."""
    return other is None or (other.source != edge.source and (other.target != edge.target or other.aside != edge.aside))


def _is_along(one: Straight, other: Straight) -> bool:
    for axis in (0, 1):
        if one[0][axis] == one[1][axis] and other[0][axis] == other[1][axis]:
            (a, b), (c, d) = (sorted(p[1 - axis] for p in line) for line in (one, other))
            return abs(one[0][axis] - other[0][axis]) < ALONG and min(b, d) - max(a, c) > SHORT
    return False


def interrupted(path: list[Point], label: Rect | None) -> list[list[Point]]:
    """Return a line in parts: before and behind a label that stands on it."""
    for k, ((u, v), (w, x)) in enumerate(pairwise(path)):
        if label is not None and v == x and label.v0 < v < label.v1 and u < label.u1 and label.u0 < w:
            before = [*path[: k + 1], (label.u0 - 0.6, v)]
            return [*([before] if k or label.u0 - u > 2 else []), [(label.u1 + 0.6, v), *path[k + 1 :]]]
    return [path]


def _shrunk(box: Rect) -> Rect:
    """Return a box without its border, at which lines begin and end."""
    return box._replace(u0=box.u0 + 2.5, u1=box.u1 - 2.5, v0=box.v0 + 2.5, v1=box.v1 - 2.5)


def _side(box: Rect, v: float) -> float:
    """Return the border of a box on the side of `v`."""
    return box.v0 if v < box.cv else box.v1


def within(v: float, box: Rect) -> bool:
    """Return True if a line at `v` meets a box well inside its width."""
    return abs(v - box.cv) < NEAR or box.v0 + 4 < v < box.v1 - 4


def leaving_at(one: Rect, other: Rect) -> float:
    """Return the v at which the line from one box to a later one leaves it."""
    return other.cv if not within(one.cv, other) and within(other.cv, one) else one.cv


def meet(one: Rect, other: Rect) -> bool:
    """Return True if two rectangles have points in common."""
    return one.u0 < other.u1 and other.u0 < one.u1 and one.v0 < other.v1 and other.v0 < one.v1


def touches(path: Sequence[Point], rects: Sequence[Rect], margin: float = 1.0) -> bool:
    """Return True if a line touches one of some rectangles."""
    for (u, v), (w, x) in pairwise(path):
        u0, u1, v0, v1 = min(u, w) - margin, max(u, w) + margin, min(v, x) - margin, max(v, x) + margin
        if any(r.u0 < u1 and u0 < r.u1 and r.v0 < v1 and v0 < r.v1 for r in rects):
            return True
    return False
