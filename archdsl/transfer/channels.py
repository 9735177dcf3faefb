"""Correspondence between the channels of values in two networks.

The channels of a value are identified by the layer that computes them. Normalisation, pooling and residual sums
preserve channels; `concat` concatenates the channels of several values; `swap` puts them along time or space, and back.
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
    """The output channels of one layer, as a part of a value's channels."""

    node: int
    channels: int


Segments = tuple[Segment, ...]


class _Axes(NamedTuple):
    """Segments along the axes of a value; time and space have none, unless channels took their place."""

    channels: Segments
    t: Segments = ()
    space: Segments = ()


class Channels:
    """The layers that compute the channels of each value of a network."""

    def __init__(self, network: Network) -> None:
        self.network = network

    @cached_property
    def origins(self) -> dict[int, Segments]:
        """The segments of each value, in order, by node id."""
        return {number: axes.channels for number, axes in self._axes.items()}

    @cached_property
    def _axes(self) -> dict[int, _Axes]:
        found: dict[int, _Axes] = {}
        for node in self.network.all_nodes():
            before = [found[i] for i in node.inputs]
            own = (Segment(node.id, int(node.shape.channels)),)
            main = before[_main(node)] if before else _Axes(own)
            if node.layer.channels_are_frames:
                found[node.id] = main._replace(channels=_back(main.t, own), t=() if main.t else main.channels)
            elif node.layer.channels_are_positions:
                found[node.id] = main._replace(
                    channels=_back(main.space, own), space=() if main.space else main.channels
                )
            elif node.layer.joins == CHANNELS:
                found[node.id] = main._replace(channels=tuple(s for axes in before for s in axes.channels))
            elif copies := _copies(node):
                found[node.id] = main._replace(channels=main.channels * copies)
            else:
                found[node.id] = main._replace(channels=own)
        return found

    def are_frames(self, value: int) -> bool:
        """Return whether the channels of a value are frames."""
        layers = [self.network.node(s.node).layer for s in self.origins[value]]
        return bool(self._axes[value].t) and all(layer.channels_are_frames for layer in layers)

    def are_positions(self, value: int) -> bool:
        """Return whether channels of a value are positions of a frame."""
        layers = [self.network.node(s.node).layer for s in self.origins[value]]
        return bool(self._axes[value].space) and any(layer.channels_are_positions for layer in layers)

    def along(self, value: int) -> tuple[bool, bool]:
        """Return whether channels stand along time, and along space."""
        axes = self._axes[value]
        return bool(axes.t), bool(axes.space)

    def writers(self, value: int) -> set[int]:
        """Return the layers that compute the channels of a value, all of those that a sum has added up."""
        found, pending, seen = set[int](), [value], {value}
        while pending:
            node = self.network.node(pending.pop())
            before = node.inputs if node.layer.joins else node.inputs[_main(node) :][:1] if _copies(node) else ()
            if not before:
                found.add(node.id)
            pending += [i for i in before if i not in seen]
            seen.update(before)
        return found


def _back(channels: Segments, own: Segments) -> Segments:
    """Return the channels that are exchanged back, if they are still as many; otherwise those of the exchange."""
    return channels if sum(s.channels for s in channels) == own[0].channels else own


def _main(node: Node) -> int:
    """Return the place of the input that has the channels of the output.

    Of several it is the last, which is the shortcut of a residual sum: it leads to the same layer in networks of
    different depth. A value that is repeated, such as the gate of a squeeze-and-excitation, is none.
    """
    if node.layer.joins != VALUES:
        return 0
    alike = [i for i, x in enumerate(node.input_shapes) if x.shape == node.shape.shape]
    return alike[-1] if alike else len(node.inputs) - 1


def _copies(node: Node) -> int:
    """Return how often a layer's output repeats its input channels: 0 if it computes new channels.

    The result is above 1 for a layer that packs the channels of several positions into one.
    """
    axes = [a for axes in node.layer.tensor_axes(*node.input_shapes).values() for a in axes]
    swaps = node.layer.channels_are_frames or node.layer.channels_are_positions
    if not node.inputs or swaps or any(isinstance(a, In) for a in axes):
        return 0
    out, into = int(node.shape.channels), int(node.input_shapes[_main(node)].channels)
    return 0 if out % into else out // into


def source_channels(count: int, of: int, rule: str) -> tuple[int, ...]:
    """Return the index of the source channel, among `of`, of each of `count` channels; -1 for a new one.

    `rule` decides about channels beyond `of`: `repeat` reuses the source's channels cyclically, `new` has no source.
    """
    return tuple(i % of if rule == REPEAT or i < of else -1 for i in range(count))


def value_sources(ours: Segments, theirs: Segments, partners: Mapping[int, int], rule: str) -> tuple[int, ...]:
    """Return the source channel of each channel of a value, from the segments of both values; -1 for a new one.

    `partners` maps node ids of the variant to node ids of the base.
    """
    starts: list[tuple[int, int]] = []
    places: dict[int, list[tuple[int, int]]] = {}
    at = 0
    for node, count in theirs:
        starts.append((at, count))
        places.setdefault(node, []).append((at, count))
        at += count
    matched: list[tuple[int, int] | None] = []
    seen: Counter[int] = Counter()
    for node, _ in ours:
        candidates, number = places.get(partners.get(node, -1), []), seen[node]
        matched.append(candidates[number] if number < len(candidates) else None)
        seen[node] += 1
    if not any(matched) and len(ours) == len(theirs):
        matched = [*starts]
    if not any(matched):
        return source_channels(sum(count for _, count in ours), at, rule)
    sources: list[int] = []
    for (_, count), place in zip(ours, matched, strict=True):
        if place is None:
            sources += [-1] * count
        else:
            start, size = place
            sources += [start + i if i >= 0 else -1 for i in source_channels(count, size, rule)]
    return tuple(sources)


def inner_sources(count: int, of: int, parts: int, heads: tuple[int, int], rule: str) -> tuple[int, ...]:
    """Return the source channel of each inner channel of a layer; -1 for a new one.

    The channels consist of `parts` (queries, keys, values), each divided into heads; `heads` has the numbers of heads
    of the variant and of the base.
    """
    (ours, theirs), sources = heads, list[int]()
    width, their_width = count // parts // ours, of // parts // theirs
    if (width, ours) == (their_width, theirs) or width * ours == their_width * theirs:
        return tuple(range(count))  # another division into heads has the same channels
    for part in range(parts):
        for head in source_channels(ours, theirs, rule):
            inner = source_channels(width, their_width, rule)
            start = (part * theirs + head) * their_width
            sources += [start + i if head >= 0 <= i else -1 for i in inner]
    return tuple(sources)
