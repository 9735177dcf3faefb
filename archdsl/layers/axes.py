"""What the axes of a tensor stand for, which decides how it is brought to the size that it has elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

Size3 = tuple[int, int, int]


@dataclass(frozen=True)
class Axis:
    """An axis that is the same in all networks, if nothing else is said."""


@dataclass(frozen=True)
class Out(Axis):
    """The channels that the layer gives."""


@dataclass(frozen=True)
class In(Axis):
    """The channels of its input."""


@dataclass(frozen=True)
class Inner(Axis):
    """Channels inside the layer: `parts` behind each other, such as queries, keys and values, each of equal `heads`."""

    parts: int = 1
    heads: int = 1


@dataclass(frozen=True)
class Heads(Axis):
    """A number for each head."""


@dataclass(frozen=True)
class Extent(Axis):
    """The extent of a filter over `t`, `h` or `w`. A filter that moves by its own extent cuts `patches`."""

    axis: str
    patches: bool = False


@dataclass(frozen=True)
class Places(Axis):
    """A row for each position of a grid over t, h and w, behind those of `tokens`."""

    grid: Size3
    tokens: int = 0


@dataclass(frozen=True)
class Distances(Axis):
    """A row for each distance between two positions in a window over t, h and w: 2n - 1 along an axis of n."""

    window: Size3


@dataclass(frozen=True)
class Offsets(Axis):
    """A row for each distance along one of the axes."""

    axis: str


@dataclass(frozen=True)
class Frames(Axis):
    """A row for each frame of a video, then `others` that are no frame's."""

    others: int = 0


OUT, IN = Out(), In()
