"""Geometry of a diagram: where its lines leave their frames, and what stands across something else.

Positions are read from the DOT text, in points; widths of text are those by which the boxes were made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.targets.dot.metrics import text_width

if TYPE_CHECKING:
    from collections.abc import Iterator

SLACK = 0.6


class Rect(NamedTuple):
    x0: float
    y0: float
    x1: float
    y1: float

    def holds(self, x: float, y: float, slack: float = SLACK) -> bool:
        return self.x0 - slack <= x <= self.x1 + slack and self.y0 - slack <= y <= self.y1 + slack

    def meets(self, other: Rect, slack: float = SLACK) -> bool:
        return (
            self.x0 + slack < other.x1
            and other.x0 + slack < self.x1
            and self.y0 + slack < other.y1
            and other.y0 + slack < self.y1
        )


class Line(NamedTuple):
    source: str
    target: str
    points: list[tuple[float, float]]  # along the curve, the tip last
    is_dashed: bool = False


@dataclass
class Picture:
    boxes: dict[str, Rect] = field(default_factory=dict)
    frames: dict[str, Rect] = field(default_factory=dict)
    parents: dict[str, set[str]] = field(default_factory=dict)  # the frames around each box
    lines: list[Line] = field(default_factory=list)
    labels: list[tuple[str, Rect]] = field(default_factory=list)


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text)]


def read_picture(graph: Any) -> Picture:
    """The places of everything in a graph of pygraphviz."""
    picture = Picture()
    for node in graph.nodes():
        x, y = numbers(node.attr["pos"])
        w, h = float(node.attr["width"]) * 36, float(node.attr["height"]) * 36
        picture.boxes[str(node)] = Rect(x - w, y - h, x + w, y + h)
    frames(graph, picture, set())
    for edge in graph.edges():
        dashed = "dashed" in (edge.attr["style"] or "")
        picture.lines += [Line(edge[0], edge[1], list(along(part)), dashed) for part in edge.attr["pos"].split(";")]
        if edge.attr["label"]:
            x, y = numbers(edge.attr["lp"])
            lines = edge.attr["label"].split("\\n")
            text = " ".join(lines)
            size = float(edge.attr["fontsize"] or graph.edge_attr["fontsize"])
            w, h = max(text_width(line, size) for line in lines) / 2, size * 0.6 * len(lines)
            picture.labels.append((text, Rect(x - w, y - h, x + w, y + h)))
    return picture


def frames(graph: Any, picture: Picture, around: set[str]) -> None:
    for sub in graph.subgraphs():
        name = sub.name.removeprefix("cluster_")
        if sub.graph_attr["bb"]:
            picture.frames[name] = Rect(*numbers(sub.graph_attr["bb"]))
        for node in sub.nodes():
            picture.parents.setdefault(str(node), set()).add(name)
        frames(sub, picture, around | {name})


def along(position: str) -> Iterator[tuple[float, float]]:
    """Points along an edge's curves, three to each, and its tip."""
    tip = re.match(r"e,(\S+?),(\S+) ", position)
    values = numbers(position[tip.end() :] if tip else position)
    points = list(zip(values[::2], values[1::2], strict=True))
    for i in range(0, len(points) - 1, 3):
        a, b, c, d = points[i : i + 4]
        for t in (0.0, 0.25, 0.5, 0.75, 1.0):
            s = 1 - t
            yield tuple(s**3 * a[k] + 3 * s * s * t * b[k] + 3 * s * t * t * c[k] + t**3 * d[k] for k in (0, 1))  # type: ignore[misc]
    if tip:
        yield float(tip[1]), float(tip[2])


def faults(picture: Picture) -> list[str]:
    """What is wrong with a picture, in words."""
    checks = (
        lines_out_of_frames, lines_through_boxes, lines_on_each_other, lines_on_borders, crossed_labels, overlaps,
    )  # fmt: skip
    return [fault for check in checks for fault in check(picture)]


def lines_out_of_frames(picture: Picture) -> Iterator[str]:
    """A line stays inside the frames that hold both its ends, and outside of those that hold none."""
    for line in picture.lines:
        one, other = (picture.parents.get(name, set()) for name in line[:2])
        whole = around(line.points)
        for name, frame in picture.frames.items():
            if name in one and name in other:
                if not (frame.holds(whole.x0, whole.y0) and frame.holds(whole.x1, whole.y1)):
                    yield f"{line.source} -> {line.target} leaves the frame {name}"
            elif name not in one and name not in other:
                if frame.meets(whole, -SLACK) and any(frame.holds(*p, -SLACK) for p in line.points):
                    yield f"{line.source} -> {line.target} enters the frame {name}"
            elif sum(a != b for a, b in pairwise(frame.holds(*p) for p in line.points)) > 1:
                yield f"{line.source} -> {line.target} crosses the border of {name} several times"


def around(points: list[tuple[float, float]]) -> Rect:
    """The rectangle around a line."""
    xs, ys = zip(*points, strict=True)
    return Rect(min(xs), min(ys), max(xs), max(ys))


def segments(line: Line) -> Iterator[Rect]:
    for (a, b), (c, d) in pairwise(line.points):
        yield Rect(min(a, c) - 0.1, min(b, d) - 0.1, max(a, c) + 0.1, max(b, d) + 0.1)


def lines_through_boxes(picture: Picture) -> Iterator[str]:
    for line in picture.lines:
        pieces = list(segments(line))
        whole = around(line.points)
        for name, box in picture.boxes.items():
            if name not in line[:2] and box.meets(whole, -0.1) and any(box.meets(s, 0.05) for s in pieces):
                yield f"{line.source} -> {line.target} crosses the box {name}"


def straight(line: Line) -> Iterator[tuple[int, float, float, float]]:
    """The straight parts of a line: along x or y, where on the other axis, its start and its end."""
    for one, other in pairwise(line.points):
        for axis in (0, 1):
            if abs(one[1 - axis] - other[1 - axis]) < 0.3 and abs(one[axis] - other[axis]) > 2:
                yield axis, one[1 - axis], *sorted((one[axis], other[axis]))


Part = tuple[Line, float, float, float]  # of a line: where on the other axis, its start and its end


def overlapping(parts: list[Part]) -> Iterator[tuple[Part, Part]]:
    """Pairs of parts along one axis that have places in common, that which starts earlier first."""
    ordered = sorted(parts, key=itemgetter(2))
    for number, one in enumerate(ordered, start=1):
        for other in islice(ordered, number, None):
            if other[2] >= one[3]:
                break
            yield one, other


def lines_on_each_other(picture: Picture) -> Iterator[str]:
    """Lines of two values do not run on each other, unless they meet before the same target and look alike."""
    parts: dict[tuple[int, int], list[Part]] = {}
    for line in picture.lines:
        for axis, at, start, end in straight(line):
            for near in (round(at), round(at) + 1):
                parts.setdefault((axis, near), []).append((line, at, start, end))
    found: dict[str, None] = {}
    for near in parts.values():
        for (line, at, _, end), (other, place, begin, stop) in overlapping(near):
            alike = line.target == other.target and line.is_dashed == other.is_dashed
            if line.source == other.source or alike or abs(at - place) >= 1:
                continue
            if min(end, stop) - begin > 4:
                found[f"{line.source} -> {line.target} runs on {other.source} -> {other.target}"] = None
    yield from found


def lines_on_borders(picture: Picture) -> Iterator[str]:
    found: dict[str, None] = {}
    for line in picture.lines:
        for axis, at, start, end in straight(line):
            for name, frame in picture.frames.items():
                low, high = (frame.x0, frame.x1) if axis == 0 else (frame.y0, frame.y1)
                sides = (frame.y0, frame.y1) if axis == 0 else (frame.x0, frame.x1)
                if min(abs(at - side) for side in sides) < 1.5 and min(high, end) - max(low, start) > 8:
                    found[f"{line.source} -> {line.target} runs on the border of {name}"] = None
    yield from found


def crossed_labels(picture: Picture) -> Iterator[str]:
    """Labels stand free: on no box, line or border, and on no other label."""
    pieces = [(line, s) for line in picture.lines for s in segments(line)]
    for number, (text, label) in enumerate(picture.labels):
        for line, piece in pieces:
            if label.meets(piece, 0.05):
                yield f"the label {text} is crossed by {line.source} -> {line.target}"
        for name, box in picture.boxes.items():
            if label.meets(box):
                yield f"the label {text} stands on the box {name}"
        for name, frame in picture.frames.items():
            inside = all(frame.holds(x, y) for x in (label.x0, label.x1) for y in (label.y0, label.y1))
            if label.meets(frame) and not inside:
                yield f"the label {text} crosses the border of {name}"
        for other, place in picture.labels[number + 1 :]:
            if label.meets(place):
                yield f"the labels {text} and {other} meet"


def overlaps(picture: Picture) -> Iterator[str]:
    """Boxes do not meet, and stand inside their frames."""
    boxes = sorted(picture.boxes.items(), key=lambda b: b[1].x0)
    for number, (name, box) in enumerate(boxes):
        for other, place in boxes[number + 1 :]:
            if place.x0 >= box.x1:
                break
            if box.meets(place):
                yield f"the boxes {name} and {other} meet"
        for frame_name in picture.parents.get(name, ()):
            frame = picture.frames.get(frame_name)
            if frame and not (frame.holds(box.x0, box.y0) and frame.holds(box.x1, box.y1)):
                yield f"the box {name} sticks out of {frame_name}"
        for frame_name, frame in picture.frames.items():
            if frame_name not in picture.parents.get(name, ()) and frame.meets(box):
                yield f"the box {name} stands on the frame {frame_name}"
