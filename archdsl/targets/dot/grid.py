"""Paths side by side: a lane for each path, whose stages stand on one level, and laterals between the lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.ir.regions import Fusion, Lateral
from archdsl.targets.dot.boxes import first_id, last_id
from archdsl.targets.dot.compose import drawn_ids
from archdsl.targets.dot.pieces import ARROW, Places, Rect, gap_for, label_place
from archdsl.targets.dot.routes import within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from archdsl.targets.dot.compose import Composer
    from archdsl.targets.dot.layout import Cell, Layout
    from archdsl.targets.dot.pieces import Label, Piece

LANE_PAD = 10.0  # between the border of a lane and what is inside
LINK = 15.0  # of a line between a lane and a lateral connection
APART = 10.0  # between lanes, and between laterals


@dataclass
class Step:
    """Something on a lane: the boxes of a cell, the lane's title, or a joint; `gap` and `label` are those before it."""

    row: int
    piece: Piece
    ids: list[str]
    level: bool = False  # a joint or a fusion, whose centre is level with a lateral
    label: Label | None = None
    gap: float = 0.0
    u: float = 0.0


class Lane:
    """A lane with its steps in order."""

    def __init__(self, layout: Layout, composer: Composer, number: int) -> None:
        self.frame = layout.lanes[number]
        self.cells: list[Cell] = [c for c in layout.cells if c.lane == number]
        scale = composer.look.scale
        self.pad = LANE_PAD * scale
        self.enters = self.frame.entry >= 0
        self.corner = (0.0, 0.0) if self.enters else composer.oriented(composer.sizes[self.frame.id])
        steps = [Step(0, composer.leaf(self.frame.id), [self.frame.id])] if self.enters else []
        for cell in self.cells:
            ids = [name for item in cell.items for name in drawn_ids(item)]
            steps.append(Step(cell.row, composer.items(cell.items), ids, isinstance(cell.part, Fusion)))
        steps += [Step(j.row, composer.leaf(j.id), [j.id], level=True) for j in layout.joints if j.lane == number]
        self.steps = sorted(steps, key=lambda s: (s.row, s.ids[:1] != [] and s.ids[0].endswith(".branch")))
        for one, other in zip(self.steps, self.steps[1:], strict=False):
            other.label = composer.label(composer.edges_between(one.ids, other.ids))
            other.gap = gap_for(other.label, composer.look)
        wide = composer.look.wide
        labels = [s.label for s in self.steps if s.label]
        self.before = max([s.piece.before for s in self.steps] + [t.before(wide=wide) for t in labels]) + self.pad
        self.behind = max([s.piece.behind for s in self.steps] + [t.behind(wide=wide) for t in labels]) + self.pad
        if not self.enters and wide:
            self.before += self.corner[1] + 3
        elif not self.enters:
            self.before = max(self.before, self.corner[1] + self.pad + 6)

    @property
    def start(self) -> float:
        """The distance of the first step from the lane's border."""
        return self.pad + (0 if self.enters else self.corner[0] + 3)


class Grid:
    """The piece of all lanes, with the inputs above them and the laterals between them."""

    name = ""
    entry = 0.0

    def __init__(self, layout: Layout, composer: Composer) -> None:
        self.layout = layout
        self.composer = composer
        self.wide = composer.look.wide
        self.link = max(LINK * composer.look.scale, ARROW + 2)
        self.lanes = [Lane(layout, composer, n) for n in range(len(layout.lanes))]
        self.laterals = {
            (c.row, c.lane): (composer.items(c.items), c) for c in layout.cells if c.lane is not None and c.lane % 1
        }
        self.tops: dict[tuple[int, float], float] = {}  # of the laterals
        self._across()
        self._head()
        self.settle({})

    # --- across the flow ---

    def _across(self) -> None:
        at = 0.0
        self.axes: list[float] = []
        self.gutters: dict[float, float] = {}
        for number, lane in enumerate(self.lanes):
            gutter = self._gutter(number - 0.5)
            if number or gutter:
                width = gutter + 2 * self.link if gutter else APART
                self.gutters[number - 0.5] = at + width / 2
                at += width
            at += lane.before
            self.axes.append(at)
            at += lane.behind
        self.total = at
        if width := self._gutter(len(self.lanes) - 0.5):
            self.gutters[len(self.lanes) - 0.5] = at + self.link + width / 2
            self.total += width + 2 * self.link
        self.before = self.behind = self.total / 2

    def _gutter(self, lane: float) -> float:
        return max((p.before + p.behind for (_, at), (p, _) in self.laterals.items() if at == lane), default=0.0)

    def _head(self) -> None:
        """Place the inputs above the lanes that they enter, others beside all lanes, and label the lines to them."""
        self.inputs: list[tuple[Piece, float]] = []
        self.input_labels: list[tuple[Label, float]] = []
        at = 0.0
        entered = {
            box.id: [n for n, x in enumerate(self.lanes) if x.frame.entry in box.nodes] for box in self.layout.inputs
        }
        for box in sorted(self.layout.inputs, key=lambda box: not entered[box.id]):
            targets = entered[box.id]
            for n in targets:
                edges = [e for e in self.layout.edges if (e.source, e.target) == (box.id, self.lanes[n].frame.id)]
                self.input_labels += [(self.composer.label_of(edge), self.axes[n]) for edge in edges if edge.label]
            piece = self.composer.leaf(box.id)
            beside = self.total + APART + piece.before
            centre = sum(self.axes[n] for n in targets) / len(targets) if targets else beside
            centre = max(centre, at + piece.before)
            self.inputs.append((piece, centre))
            at = centre + piece.behind + APART
        self.behind = max(self.behind, at - APART - self.before)
        self.head = max((piece.length for piece, _ in self.inputs), default=0.0)
        self.neck = max((label.length for label, _ in self.input_labels), default=0.0) + ARROW + 6
        self.lanes_at = self.head + self.neck if self.inputs else 0.0

    # --- along the flow ---

    def settle(self, floors: Mapping[str, float]) -> None:
        """Find the place of each row; what is in `floors`, by id, begins there or later."""
        cursor = [lane.start for lane in self.lanes]
        clear: dict[float, float] = {}  # how far laterals reach, by the gap between lanes
        for row in sorted({s.row for lane in self.lanes for s in lane.steps} | {r for r, _ in self.laterals}):
            steps = [(n, s) for n, lane in enumerate(self.lanes) for s in lane.steps if s.row == row]
            if any(s.level for _, s in steps):
                self._level(row, steps, cursor, clear)
            else:
                self._stages(steps, cursor, floors)
        self.inside = max(c + lane.pad for c, lane in zip(cursor, self.lanes, strict=True))
        self.length = self.lanes_at + max(self.inside, *clear.values(), 0.0)

    def _stages(self, steps: list[tuple[int, Step]], cursor: list[float], floors: Mapping[str, float]) -> None:
        first = dict(reversed(steps))
        top = max((cursor[n] + s.gap for n, s in first.items()), default=0.0)
        top = max([top, *(floors[s.ids[0]] - self.lanes_at for s in first.values() if s.ids[0] in floors)])
        for n, step in steps:
            step.u = top if step is first[n] else cursor[n] + step.gap
            cursor[n] = step.u + step.piece.length

    def _level(self, row: int, steps: list[tuple[int, Step]], cursor: list[float], clear: dict[float, float]) -> None:
        """Place the joints, the laterals and the fusions of a row, each lateral level with both of its ends."""
        laterals = {lane: self.laterals[r, lane] for r, lane in self.laterals if r == row}
        drop, starts = 0.0, dict[float, float]()
        for lane, (piece, cell) in laterals.items():
            inner = Places()
            piece.place(0.0, 0.0, inner)
            starts[lane] = inner.boxes[first_id(cell.items)].cu
            drop = max(drop, inner.boxes[last_id(cell.items)].cu - starts[lane])
        joint = max((clear.get(lane, 0.0) + start + APART for lane, start in starts.items()), default=0.0)
        joint = max([joint, *(cursor[n] + starts[lane] + APART for lane, n in self._returning(laterals))])
        for n, step in steps:
            if step.level:
                begin = cursor[n] + step.gap + step.piece.length / 2
                joint = max(joint, begin if self._is_joint(step) else begin - drop)
        for n, step in steps:
            if step.level:
                step.u = joint + (0 if self._is_joint(step) else drop) - step.piece.length / 2
            else:
                step.u = cursor[n] + step.gap
            cursor[n] = max(cursor[n], step.u + step.piece.length)
        for lane, (piece, _) in laterals.items():
            self.tops[row, lane] = joint - starts[lane]
            clear[lane] = self.tops[row, lane] + piece.length

    def _returning(self, laterals: Mapping[float, tuple[Piece, Cell]]) -> Iterator[tuple[float, int]]:
        """Yield the place and the lane of laterals that lead from a path to itself, and so begin below its boxes."""
        numbers = {lane.frame.title: n for n, lane in enumerate(self.lanes)}
        for lane, (_, cell) in laterals.items():
            part = cell.part
            if isinstance(part, Lateral) and part.source == part.target and part.target in numbers:
                yield lane, numbers[part.target]

    def _is_joint(self, step: Step) -> bool:
        return any(j.id == step.ids[0] for j in self.layout.joints)

    # --- placing ---

    def place(self, u: float, v: float, places: Places) -> None:
        """Record the positions of the inputs, the lanes and the laterals."""
        left, top = v - self.before, u + self.lanes_at
        for piece, centre in self.inputs:
            piece.place(u + self.head - piece.length, left + centre, places)
        for lane, axis in zip(self.lanes, self.axes, strict=True):
            across = left + axis - lane.before, left + axis + lane.behind
            places.frames[lane.frame.id] = Rect(top, top + self.inside, *across)
            if not lane.enters:
                length, width = lane.corner
                begin = across[0] + lane.pad
                places.boxes[lane.frame.id] = Rect(top + lane.pad, top + lane.pad + length, begin, begin + width)
            for step in lane.steps:
                step.piece.place(top + step.u, left + axis, places)
                if step.label:
                    before = top + step.u - step.gap
                    room = step.gap - ARROW
                    places.labels[step.label.edge] = label_place(step.label, before, left + axis, room, wide=self.wide)
        for label, axis in self.input_labels:
            places.dropping.add(label.edge)
            start = top - ARROW - 2 - label.length
            one, other = (places.boxes.get(name) for name in (label.edge.source, label.edge.target))
            is_straight = one and other and within(one.cv, other)
            across = one.cv if one and is_straight else left + axis
            places.labels[label.edge] = label_place(label, start, across, 0, wide=self.wide)
        for (row, lane), (piece, _) in self.laterals.items():
            centred = left + self.gutters[lane] + (piece.before - piece.behind) / 2
            piece.place(top + self.tops[row, lane], centred, places)
