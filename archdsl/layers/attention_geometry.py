"""Groups of positions that see each other in an attention, on the grids of what enters, of queries and of keys."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from archdsl.core.grid import FRAME, Grid
from archdsl.layers.attention_lines import Lines, size3, size_of
from archdsl.layers.bias import BiasGeometry
from archdsl.layers.groups import AXES, Groups, groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archdsl.layers.attention_arguments import Between
    from archdsl.layers.attributes import Size3


def rows(size: Size3) -> int:
    """Return the number of relative positions in a window."""
    return prod(2 * n - 1 for n in size)


@dataclass(frozen=True)
class Geometry:
    """Groups of positions that see each other on the input's grid, and what is left of one on the grids of q and k."""

    groups: Groups
    queries: Size3  # of one group
    keys: Size3
    clips: int  # parts of a value that see nothing of each other: frames, if each has tokens
    tokens: tuple[int, int]  # of the queries and of the keys of each group

    @property
    def pairs(self) -> int:
        """Number of pairs of a query and a key, for one clip."""
        q, k = self.tokens
        return self.clips * self.groups.number * (prod(self.queries) + q) * (prod(self.keys) + k)


def geometry(lines: Lines, over: str) -> Geometry:
    """Return the geometry along some axes."""
    if lines.crosses_frames:
        return _across(lines)
    found, (q, k) = lines.groups(over), lines.tokens
    queries, keys = (_in_group(found, lines.size(n)) for n in "qk")
    clips = int(lines.shapes["q"].t) if lines.of_frames else 1
    return Geometry(found, queries, keys, clips, (q.number, k.number))


def _across(lines: Lines) -> Geometry:
    """Return the geometry of frames whose positions and tokens see those at the same place."""
    x = lines.entering
    size = size3((x.t, 1, 1))
    found = groups("t", size, (0, 0, 0), (1, 1, 1), (0, 0, 0))
    return Geometry(found, size, size, int(x.h) * int(x.w) + x.tokens.number, (0, 0))


def bias_geometry(lines: Lines) -> BiasGeometry:
    """Return the geometry that biases have numbers for."""
    between, found = lines.between, geometry(lines, lines.between.over[0])
    groups, (q, k) = found.groups, (lines.size(n) for n in "qk")
    finest = [max(map(int, sizes)) for sizes in zip(groups.padded, q, k, strict=True)]
    asked = (n or own for n, own in zip(between.window, groups.window, strict=True))
    window, largest = (_on_finest(groups, sizes, finest) for sizes in (groups.window, asked))
    if between.band:
        reach = between.band // 2 + 1
        largest = size3(reach if a in groups.over else 1 for a in "thw")
    steps = [
        size3(-(-n // int(m)) if a in groups.over else 1 for a, n, m in zip("thw", finest, size, strict=True))
        for size in (q, k)
    ]
    width = int(lines.shapes["q"].channels) // between.heads
    return BiasGeometry(
        groups.over, window, largest, found.queries, found.keys, steps[0], steps[1], between.heads, width,
        groups.number, found.clips, between.band > 0,
    )  # fmt: skip


def _on_finest(found: Groups, sizes: Iterable[int], finest: Sequence[int]) -> Size3:
    """Return sizes of a window in positions of the finest grid."""
    rows = zip("thw", sizes, finest, found.padded, strict=True)
    return size3(max(1, -(-int(n) * most // full)) if a in found.over else 1 for a, n, most, full in rows)


def _in_group(found: Groups, size: Size3) -> Size3:
    """Return the positions of a group on a grid of another size."""
    rows = zip("thw", size, found.padded, found.window, strict=True)
    t, h, w = (1 if a not in found.over else int(n) * k // full for a, n, full, k in rows)
    return t, h, w


def padded_grid(between: Between, x: Grid) -> Grid:
    """Return the grid that lines work on."""
    found = groups(AXES[between.over[0]], size_of(x), between.window, between.dilation, between.shift)
    if not found.is_padded or between.band:
        return x
    t, h, w = found.padded
    return Grid(x.channels, x.t if x.token == FRAME else t, h, w, x.tokens)
