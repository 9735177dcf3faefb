"""Which channels of a value are which of another network's.

The channels of a value are those of the layers that made them: a normalisation, a pooling or a residual sum passes them
on, `concat` puts those of several behind each other.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from archdsl.layers.axes import In
from archdsl.layers.base import CHANNELS, VALUES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.ir.network import Network, Node

REPEAT = "repeat"


class Segment(NamedTuple):
    """Channels of one layer, all of them."""

    node: int
    channels: int


class Channels:
    """Where the channels of each value of a network come from."""

    def __init__(self, network: Network) -> None:
        self.network = network

    @cached_property
    def origins(self) -> dict[int, tuple[Segment, ...]]:
        """The segments of each value, in order."""
        found: dict[int, tuple[Segment, ...]] = {}
        for node in self.network.all_nodes():
            before = [found[i] for i in node.inputs]
            if node.layer.joins == CHANNELS:
                found[node.id] = tuple(s for segments in before for s in segments)
            elif before and (copies := _copies(node)):
                # Of a residual sum that which went round: where depths differ it is from the same layer.
                found[node.id] = (before[-1] if node.layer.joins == VALUES else before[0]) * copies
            else:
                found[node.id] = (Segment(node.id, int(node.shape.channels)),)
        return found


def _copies(node: Node) -> int:
    """How often the channels of its input stand behind each other in what a layer gives; 0: it makes others of them.

    What packs positions into channels puts those of one position behind those of another.
    """
    if any(isinstance(a, In) for axes in node.layer.tensor_axes(*node.input_shapes).values() for a in axes):
        return 0
    out, into = int(node.shape.channels), int(node.input_shapes[0].channels)
    return 0 if out % into else out // into


def grown(count: int, of: int, rule: str) -> tuple[int, ...]:
    """For each of some channels that of the original ones which it begins as; -1: none."""
    return tuple(i % of if rule == REPEAT or i < of else -1 for i in range(count))


def along(
    ours: tuple[Segment, ...], theirs: tuple[Segment, ...], partners: Mapping[int, int], rule: str
) -> tuple[int, ...]:
    """For each channel of a value the one of theirs that it begins as; -1: none."""
    starts: list[tuple[int, int]] = []
    places: dict[int, list[tuple[int, int]]] = {}
    at = 0
    for node, count in theirs:
        starts.append((at, count))
        places.setdefault(node, []).append((at, count))
        at += count
    found: list[tuple[int, int] | None] = []
    met: Counter[int] = Counter()
    for node, _ in ours:
        there, number = places.get(partners.get(node, -1), []), met[node]
        found.append(there[number] if number < len(there) else None)
        met[node] += 1
    if not any(found) and len(ours) == len(theirs):
        found = [*starts]
    if not any(found):
        return grown(sum(count for _, count in ours), at, rule)
    sources: list[int] = []
    for (_, count), place in zip(ours, found, strict=True):
        if place is None:
            sources += [-1] * count
        else:
            start, size = place
            sources += [start + i if i >= 0 else -1 for i in grown(count, size, rule)]
    return tuple(sources)


def inside(count: int, of: int, parts: int, heads: tuple[int, int], rule: str) -> tuple[int, ...]:
    """The same for channels inside a layer: `parts` behind each other, each of some heads."""
    (ours, theirs), found = heads, list[int]()
    width, their_width = count // parts // ours, of // parts // theirs
    if (width, ours) == (their_width, theirs) or width * ours == their_width * theirs:
        return tuple(range(count))  # heads cut otherwise are still the same channels
    for part in range(parts):
        for head in grown(ours, theirs, rule):
            inner = grown(width, their_width, rule)
            start = (part * theirs + head) * their_width
            found += [start + i if head >= 0 <= i else -1 for i in inner]
    return tuple(found)
