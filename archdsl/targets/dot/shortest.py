"""The shortest line between two boxes on a grid of coordinates that keeps a distance from what it passes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.targets.dot.pieces import Rect

Point = tuple[float, float]  # (u, v)
Straight = tuple[Point, Point]
ALONG = 2.0  # distance of lines that look like one
TURN = 30.0  # length of a detour that costs as much as a turn


class Steps:
    """Steps between neighbouring points of a grid of coordinates that keep a distance from walls.

    They may cross the straight lines of `along`, but not run on them.
    """

    def __init__(
        self, lines: tuple[list[float], list[float]], walls: Sequence[Rect], margin: float,
        along: Sequence[Straight] = (),
    ) -> None:  # fmt: skip
        self._lines = lines
        self._before = tuple([x - margin for x in line] for line in lines)
        self._behind = tuple([x + margin for x in line] for line in lines)
        both = [((r.u0, r.u1), (r.v0, r.v1)) for r in walls]
        near = ALONG - margin
        self._walls = [
            both + [_wide(line, 1 - axis, near) for line in along if line[0][1 - axis] == line[1][1 - axis]]
            for axis in (0, 1)
        ]
        self._numbers = tuple({x: i for i, x in enumerate(line)} for line in lines)
        self._rows: dict[tuple[int, float], list[bool]] = {}

    def of(self, point: Point) -> Iterator[tuple[Point, int]]:
        """Yield the next points that can be reached, and 0 for those along the flow, 1 for those across it."""
        for axis in (0, 1):
            line, number = self._lines[axis], self._numbers[axis][point[axis]]
            free = self._row(axis, point[1 - axis])
            for near, is_free in ((number - 1, free[number]), (number + 1, free[number + 1])):
                if is_free:
                    yield ((line[near], point[1]) if axis == 0 else (point[0], line[near])), axis

    def _row(self, axis: int, across: float) -> list[bool]:
        """Return whether each step along an axis is free, with one before the first and one behind the last point."""
        known = self._rows.get((axis, across))
        if known is None:
            number = self._numbers[1 - axis][across]
            before, behind = self._before[1 - axis][number], self._behind[1 - axis][number]
            known = [False, *[True] * (len(self._lines[axis]) - 1), False]
            for wall in self._walls[axis]:
                if wall[1 - axis][0] < behind and before < wall[1 - axis][1]:
                    first = max(1, bisect_right(self._behind[axis], wall[axis][0]))
                    last = min(len(known) - 1, bisect_left(self._before[axis], wall[axis][1]) + 1)
                    known[first:last] = [False] * (last - first)
            self._rows[axis, across] = known
        return known


def _wide(line: Straight, axis: int, by: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the extents of a straight line that is made wider along one axis."""
    u, v = (
        (min(ends) - by * (k == axis), max(ends) + by * (k == axis)) for k, ends in enumerate(zip(*line, strict=True))
    )
    return u, v


def shortest(starts: Sequence[tuple[Point, int]], goals: dict[Point, int], steps: Steps) -> list[Point]:
    """Return the cheapest line through a grid of coordinates, by Dijkstra's algorithm; a turn costs `TURN`."""
    queue: list[tuple[float, int, Point, int]] = []
    costs = dict.fromkeys(starts, 0.0)
    came: dict[tuple[Point, int], tuple[Point, int]] = {}
    for count, start in enumerate(starts):
        heappush(queue, (0.0, count, *start))
    count = len(starts)
    while queue:
        cost, _, point, way = heappop(queue)
        if cost > costs[point, way]:
            continue
        if goals.get(point) == way:
            return _corners(_followed(came, (point, way)))
        for step, turned in steps.of(point):
            if turned == way or (point, way) in came:
                length = abs(step[0] - point[0]) + abs(step[1] - point[1])
                total = cost + length + (TURN if turned != way else 0)
                if total < costs.get((step, turned), inf):
                    count += 1
                    costs[step, turned] = total
                    came[step, turned] = point, way
                    heappush(queue, (total, count, step, turned))
    return []


def _followed(came: dict[tuple[Point, int], tuple[Point, int]], last: tuple[Point, int]) -> list[Point]:
    """Return the points from a start to the last one."""
    path = [last[0]]
    while last in came:
        last = came[last]
        path.append(last[0])
    return path[::-1]


def _corners(path: Sequence[Point]) -> list[Point]:
    """Return a line without the points between its ends and turns."""
    result = list(path[:2])
    for point in path[2:]:
        if any(result[-2][a] == result[-1][a] == point[a] for a in (0, 1)):
            result[-1] = point
        else:
            result.append(point)
    return result
