"""Composition of boxes and frames to a drawing: what follows each other, and what stands side by side.

Among the items of a frame, those that are before or behind each other one follow each other on one axis. Between two of
them, the others fall apart into branches, which stand side by side and are composed in the same way. Where this is not
so, all items stand one behind the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.targets.dot.boxes import Frame
from archdsl.targets.dot.pieces import PAD, Between, Enclosure, Jump, Label, Leaf, Parallel, Row, gap_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archdsl.targets.dot.boxes import Box
    from archdsl.targets.dot.layout import Edge
    from archdsl.targets.dot.look import Look
    from archdsl.targets.dot.pieces import Piece

BRANCHES = 14.0  # between branches side by side


def drawn_ids(item: Box | Frame) -> Iterator[str]:
    """Yield the ids of what is drawn for an item and can be the end of an edge."""
    if not isinstance(item, Frame):
        yield item.id
        return
    if item.entry >= 0:
        yield item.id
    for inner in item.items:
        yield from drawn_ids(inner)


@dataclass
class Level:
    """The items of one frame, with the edges between them. `reach` are the later items, as bits."""

    pieces: Sequence[Piece]
    edges: Sequence[tuple[int, int, Edge]]
    reach: Sequence[int]
    lanes: Mapping[int, int]  # of the values that enter an item from lanes, the first

    def comparable(self, number: int, members: Sequence[int]) -> bool:
        """Return True if an item is before or behind each of the others."""
        return all(m == number or self.reach[m] >> number & 1 or self.reach[number] >> m & 1 for m in members)

    def components(self, members: Sequence[int]) -> list[list[int]]:
        """Divide items into those that are connected."""
        group = {m: m for m in members}

        def root(m: int) -> int:
            while group[m] != m:
                m = group[m]
            return m

        for one, other, _ in self.edges:
            if one in group and other in group:
                a, b = sorted((root(one), root(other)))
                group[b] = a
        found: dict[int, list[int]] = {}
        for m in members:
            found.setdefault(root(m), []).append(m)
        return list(found.values())


class Composer:
    """Composer of the pieces of a drawing.

    `sizes` are widths and heights by id, `shapes` sizes of labels by text, `lanes` the lanes of what is drawn on one.
    """

    def __init__(
        self, edges: Sequence[Edge], sizes: Mapping[str, tuple[float, float]], look: Look,
        shapes: Mapping[str, tuple[float, float]], lanes: Mapping[str, int],
    ) -> None:  # fmt: skip
        self.look = look
        self.sizes = sizes
        self.shapes = shapes
        self._from: dict[str, list[Edge]] = {}
        self._lanes: dict[str, int] = {}  # from which a value enters a drawn node, the first of them
        for edge in edges:
            self._from.setdefault(edge.source, []).append(edge)
            if edge.source in lanes:
                lane = lanes[edge.source]
                self._lanes[edge.target] = min(self._lanes.get(edge.target, lane), lane)
        self._labelled: set[str] = set()

    def oriented(self, size: tuple[float, float]) -> tuple[float, float]:
        """Return a size, width by height, as lengths along and across the flow."""
        return size if self.look.wide else (size[1], size[0])

    def leaf(self, name: str) -> Leaf:
        """Return the piece of a box."""
        return Leaf(name, *self.oriented(self.sizes[name]))

    def label(self, edges: Sequence[Edge]) -> Label | None:
        """Return the first label of some edges whose value has no label elsewhere."""
        for edge in edges:
            if edge.label and edge.source not in self._labelled:
                self._labelled.add(edge.source)
                return self.label_of(edge)
        return None

    def label_of(self, edge: Edge) -> Label:
        """Return the label of an edge."""
        return Label(edge, *self.oriented(self.shapes[edge.label]), self.look.centred)

    def edges_between(self, one: Sequence[str], other: Sequence[str]) -> list[Edge]:
        """Return the edges from some drawn nodes to others."""
        targets = set(other)
        return [e for name in one for e in self._from.get(name, ()) if e.target in targets]

    def items(self, items: Sequence[Box | Frame], title: str = "") -> Piece:
        """Return the piece of a row of items, behind the title that a value enters at."""
        pieces: list[Piece] = [self.leaf(title)] if title else []
        owner = {title: 0} if title else {}
        for item in items:
            owner |= dict.fromkeys(drawn_ids(item), len(pieces))
            pieces.append(self.frame(item) if isinstance(item, Frame) else self.leaf(item.id))
        return self.pieces(pieces, owner)

    def frame(self, frame: Frame) -> Piece:
        """Return the piece of a frame."""
        enters = frame.entry >= 0
        content = self.items(frame.items, frame.id if enters else "")
        corner = None if enters else self.oriented(self.sizes[frame.id])
        return Enclosure(frame.id, content, PAD * self.look.scale, corner, wide=self.look.wide)

    def pieces(self, pieces: Sequence[Piece], owner: Mapping[str, int]) -> Piece:
        """Return the piece of several; `owner` has the number of that in which an id is drawn."""
        edges = [
            (owner[name], owner[e.target], e)
            for name in owner
            for e in self._from.get(name, ())
            if e.target in owner and owner[name] < owner[e.target]
        ]
        reach = [0] * len(pieces)
        after: dict[int, set[int]] = {}
        for one, other, _ in edges:
            after.setdefault(one, set()).add(other)
        for one in reversed(range(len(pieces))):
            for other in after.get(one, ()):
                reach[one] |= 1 << other | reach[other]
        lanes = {number: self._lanes[name] for name, number in reversed(list(owner.items())) if name in self._lanes}
        return self._compose(Level(pieces, edges, reach, lanes), list(range(len(pieces))))

    def _compose(self, level: Level, members: Sequence[int]) -> Piece:
        if len(members) == 1:
            return level.pieces[members[0]]
        groups = level.components(members)
        if len(groups) > 1:
            return self._parallel(level, groups)
        cuts = [m for m in members if level.comparable(m, members)]
        if not cuts and len(level.components(members[1:])) > 1:  # branches share the first item alone
            return self._row(level, [members[:1], members[1:]])
        cuts = cuts or list(members)
        sections: list[list[int]] = []
        for m in members:
            if m in cuts or not sections or sections[-1][0] in cuts:
                sections.append([m])
            else:
                sections[-1].append(m)
        return self._row(level, sections)

    def _parallel(self, level: Level, groups: Sequence[Sequence[int]]) -> Parallel:
        lanes = [min((level.lanes[m] for m in group if m in level.lanes), default=-1) for group in groups]
        if min(lanes) >= 0:  # in the order of the paths that they come from, so that no lines cross
            groups = [group for _, group in sorted(zip(lanes, groups, strict=True))]
        branches: list[tuple[Piece, Label | None]] = []
        main: list[int] = []
        for k, group in enumerate(groups):
            inside = set(group)
            leaving = [e for one, other, e in level.edges if one in inside and other not in inside]
            branches.append((self._compose(level, group), self.label(leaving)))
            if any(e.main for e in leaving):
                main.append(k)
        axis = main[0] if len(main) == 1 else None
        return Parallel(branches, axis, BRANCHES * self.look.scale, wide=self.look.wide)

    def _row(self, level: Level, sections: Sequence[Sequence[int]]) -> Row:
        place = {m: k for k, section in enumerate(sections) for m in section}
        pieces = [self._compose(level, section) for section in sections]
        jumps: list[Jump] = []
        turning: list[tuple[int, Edge]] = []
        between: dict[int, list[Edge]] = {}
        for one, other, edge in level.edges:
            if one not in place or other not in place or place[one] == place[other]:
                continue
            first, last = place[one], place[other]
            single = len(sections[first]) == 1, len(sections[last]) == 1
            if single[0]:
                between.setdefault(first, []).append(edge)
            if single == (True, True) and last > first + 1:
                jumps.append(Jump(first, last, edge))
            elif single == (True, False) and last == first + 1:
                turning.append((last, edge))
            elif single == (False, True) and last > first + 1:
                outer = level.components(sections[first])[0]
                jumps.append(Jump(first, last, edge, before=one in outer))
        labels = [self.label(sorted(between.get(k, ()), key=lambda e: not e.main)) for k in range(len(pieces) - 1)]
        turns = {k for k, _ in turning}
        fans = [k + 1 in turns or len(sections[k]) > 1 for k in range(len(labels))]
        gaps = [gap_for(label, self.look, turns=fan) for label, fan in zip(labels, fans, strict=True)]
        return Row(pieces, Between(gaps, labels, jumps, turning), wide=self.look.wide)
