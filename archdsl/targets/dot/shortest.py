"""The shortest line between two boxes on a grid of coordinates that keeps a distance from what it passes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        # which steps are free, in rows that are filled when they are asked for
        self._rows: list[list[list[bool]]] = [[[]] * len(lines[1 - axis]) for axis in (0, 1)]

    def state(self, point: Point, way: int) -> int:
        """Return the number of a point that is reached along the flow (a way of 0) or across it (1)."""
        u, v = (numbers[x] for numbers, x in zip(self._numbers, point, strict=True))
        return 2 * (u * len(self._lines[1]) + v) + way

    def point(self, state: int) -> Point:
        """Return the point of a state."""
        u, v = divmod(state // 2, len(self._lines[1]))
        return self._lines[0][u], self._lines[1][v]

    def of(self, state: int, *, turns: bool) -> list[tuple[float, float, int]]:
        """Return the length, the cost of a turn and the state of each step, which may be a turn."""
        way, size = state % 2, len(self._lines[1])
        places = divmod(state // 2, size)
        found: list[tuple[float, float, int]] = []
        for axis in (0, 1) if turns else (way,):
            line, number = self._lines[axis], places[axis]
            free = self._rows[axis][places[1 - axis]] or self._row(axis, places[1 - axis])
            turn = 0.0 if axis == way else TURN
            here, away = state - way + axis, 2 if axis else 2 * size
            if free[number]:
                found.append((line[number] - line[number - 1], turn, here - away))
            if free[number + 1]:
                found.append((line[number + 1] - line[number], turn, here + away))
        return found

    def _row(self, axis: int, number: int) -> list[bool]:
        """Return whether each step along an axis is free, with one before the first and one behind the last point."""
        before, behind = self._before[1 - axis][number], self._behind[1 - axis][number]
        known = [False, *[True] * (len(self._lines[axis]) - 1), False]
        for wall in self._walls[axis]:
            if wall[1 - axis][0] < behind and before < wall[1 - axis][1]:
                first = max(1, bisect_right(self._behind[axis], wall[axis][0]))
                last = min(len(known) - 1, bisect_left(self._before[axis], wall[axis][1]) + 1)
                known[first:last] = [False] * (last - first)
        self._rows[axis][number] = known
        return known


def _wide(line: Straight, axis: int, by: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the extents of a straight line that is made wider along one axis."""
    u, v = (
        (min(ends) - by * (k == axis), max(ends) + by * (k == axis)) for k, ends in enumerate(zip(*line, strict=True))
    )
    return u, v


def shortest(starts: Sequence[tuple[Point, int]], goals: dict[Point, int], steps: Steps) -> list[Point]:
    """Return the cheapest line through a grid of coordinates, by Dijkstra's algorithm; a turn costs `TURN`."""
    ends = {steps.state(point, way) for point, way in goals.items()}
    costs = {steps.state(point, way): 0.0 for point, way in starts}
    queue = [(0.0, count, steps.state(point, way)) for count, (point, way) in enumerate(starts)]
    came: dict[int, int] = {}
    count = len(starts)
    while queue:
        cost, _, state = heappop(queue)
        if cost > costs[state]:
            continue
        if state in ends:
            return _corners([steps.point(s) for s in _followed(came, state)])
        for length, turn, after in steps.of(state, turns=state in came):
            total = cost + length + turn
            if total < costs.get(after, inf):
                count += 1
                costs[after] = total
                came[after] = state
                heappush(queue, (total, count, after))
    return []


def _followed(came: dict[int, int], last: int) -> list[int]:
    """Return the states from a start to the last one."""
    path = [last]
    while last in came:
        last = came[last]
        path.append(last)
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
