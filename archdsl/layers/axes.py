"""Meanings of tensors and their axes, which determine how a weight transfer adapts values and sizes."""

from __future__ import annotations

from archdsl.core.record import record

Size3 = tuple[int, int, int]


@record
class Axis:
    """An axis of another meaning, whose size must be equal in both networks."""


@record
class Out(Axis):
    """The output channels of the layer."""


@record
class In(Axis):
    """The input channels of the layer."""


@record
class Inner(Axis):
    """Inner channels of the layer: concatenated `parts`, such as queries, keys and values, each of equal `heads`.

    `branches` has a letter for each part if a layer projects queries, keys or values: `qkv`. Each head of keys and of
    values is for `queries` heads of queries.
    """

    parts: int = 1
    heads: int = 1
    branches: str = ""
    queries: int = 1


@record
class Heads(Axis):
    """One element per head."""


@record
class Extent(Axis):
    """The extent of a filter over `t`, `h` or `w`; `patches` if its stride equals its extent."""

    axis: str
    patches: bool = False


@record
class Places(Axis):
    """One row per position of a grid (t, h, w), after `tokens` rows for class tokens."""

    grid: Size3
    tokens: int = 0


@record
class Distances(Axis):
    """One row per relative position in a window (t, h, w): 2n - 1 along an axis of n."""

    window: Size3


@record
class Offsets(Axis):
    """One row per relative position along one axis."""

    axis: str


@record
class Frames(Axis):
    """One row per frame of a video, then `others` rows that belong to no frame."""

    others: int = 0


OUT, IN = Out(), In()

# What layers compute of a tensor before they use it.
PLAIN, ONE_MORE, SOFTPLUS = "weight", "1 + weight", "softplus(weight) / log 2"
