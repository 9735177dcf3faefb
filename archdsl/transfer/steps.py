"""Steps that adapt a tensor to another shape, each along one axis."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from archdsl.layers.axes import ONE_MORE, PLAIN, SOFTPLUS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.layers.axes import Size3

# Origins of a tensor, from the least to the most faithful.
NEW, EXTENDED, INFLATED, INTERPOLATED, REPEATED, PADDED, SLICED, CONVERTED, JOINED, COPIED = (
    "new", "extended", "inflated", "interpolated", "repeated", "padded", "sliced", "converted", "joined", "copied",
)  # fmt: skip
VERBS = (NEW, EXTENDED, INFLATED, INTERPOLATED, REPEATED, PADDED, SLICED, CONVERTED, JOINED, COPIED)
AVERAGE, CENTRE = "average", "centre"
BICUBIC, BILINEAR, NEAREST = "bicubic", "bilinear", "nearest"


@dataclass(frozen=True)
class Step:
    """A change of a tensor along `axis`."""

    axis: int

    @property
    def new(self) -> tuple[int, ...]:
        """The indices along the axis without an origin, initialised as in a new module."""
        return ()

    @property
    def verb(self) -> str:
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The description of the step in messages."""
        raise NotImplementedError


@dataclass(frozen=True)
class Select(Step):
    """Selection of slices by index. With `share`, copies of a slice are divided by their number, to preserve sums."""

    sources: tuple[int, ...]  # -1: no origin
    of: int  # size of the axis in the base
    what: str  # meaning of the axis: `input channels`, `heads`, …
    share: bool = False

    @cached_property
    def counts(self) -> Counter[int]:
        return Counter(s for s in self.sources if s >= 0)

    @property
    def new(self) -> tuple[int, ...]:
        return tuple(i for i, s in enumerate(self.sources) if s < 0)

    @property
    def verb(self) -> str:
        if self.new:
            return EXTENDED
        return REPEATED if max(self.counts.values()) > 1 else SLICED

    @property
    def text(self) -> str:
        size = len(self.sources)
        if self.new:
            return f"{size - len(self.new)} of {size} {self.what} from the base, the others new"
        if self.verb == REPEATED:
            least, most = min(self.counts.values()), max(self.counts.values())
            times = f"{most} times" if least == most else f"{least} to {most} times"
            return f"{self.what} repeated {times}" + ", divided by the number of copies" * self.share
        first = "the first " if self.sources == tuple(range(size)) else ""
        return f"{first}{size} of {self.of} {self.what}"


@dataclass(frozen=True)
class Inflate(Step):
    """Inflation of a filter from one frame to several (Carreira and Zisserman 2017, section 2.4)."""

    size: int
    rule: str  # `average`: copies divided by their number; `centre`: in the middle frame, zeros in the others

    @property
    def verb(self) -> str:
        return INFLATED

    @property
    def text(self) -> str:
        how = "averaged" if self.rule == AVERAGE else "centred"
        return f"1 → {self.size} frames, {how}"


@dataclass(frozen=True)
class Sum(Step):
    """Sum of a filter over its frames, which preserves the output for a clip of identical frames."""

    size: int

    @property
    def verb(self) -> str:
        return SLICED

    @property
    def text(self) -> str:
        return f"{self.size} → 1 frames, summed"


@dataclass(frozen=True)
class Centre(Step):
    """Zero padding of a filter to a larger size, or a centre crop of it."""

    size: int
    of: int
    name: str

    @property
    def verb(self) -> str:
        return PADDED if self.size > self.of else SLICED

    @property
    def text(self) -> str:
        how = "padded with zeros" if self.size > self.of else "centre crop"
        return f"{self.of} → {self.size} {self.name}, {how}"


@dataclass(frozen=True)
class Stretch(Step):
    """Linear interpolation of a filter to another number of positions, scaled to preserve its sum."""

    size: int
    of: int
    name: str
    of_patches: bool = True  # it embeds patches

    @property
    def verb(self) -> str:
        return INTERPOLATED

    @property
    def text(self) -> str:
        return f"{'patches of ' * self.of_patches}{self.of} → {self.size} {self.name}, linear"


@dataclass(frozen=True)
class Resample(Step):
    """Interpolation of a table with one row per position of a grid (t, h, w); its first rows are for class tokens."""

    grid: Size3
    of: Size3
    tokens: int = 0
    tokens_of: int = 0
    what: str = "positions"
    method: str = BICUBIC  # over space

    @property
    def new(self) -> tuple[int, ...]:
        return tuple(range(self.tokens_of, self.tokens))

    @property
    def verb(self) -> str:
        if self.new:
            return EXTENDED
        return INTERPOLATED if self.grid != self.of else SLICED

    @property
    def text(self) -> str:
        parts: list[str] = []
        if self.grid != self.of:
            parts.append(f"{_grid(self.of)} → {_grid(self.grid)} {self.what}, {' and '.join(self._methods())}")
        if self.tokens != self.tokens_of:
            parts.append("without the class token" if self.tokens < self.tokens_of else "class token new")
        return ", ".join(parts)

    def _methods(self) -> list[str]:
        between = NEAREST if self.method == NEAREST else "linear"
        time = ["repeated over time" if self.of[0] == 1 else f"{between} over time"] * (self.grid[0] != self.of[0])
        return time + [f"{self.method} over space"] * (self.grid[1:] != self.of[1:])


@dataclass(frozen=True)
class Average(Step):
    """Means of neighbouring heads of keys or values, which queries get to share (Ainslie et al. 2023, section 2.1)."""

    parts: int
    heads: int
    of: int

    @property
    def verb(self) -> str:
        return CONVERTED

    @property
    def text(self) -> str:
        return f"means of {self.of // self.heads} heads"


@dataclass(frozen=True)
class Convert(Step):
    """Another form of the values, of which another layer computes the same: `1 + weight` in place of `weight`."""

    form: str
    of: str

    @property
    def verb(self) -> str:
        return CONVERTED

    @property
    def text(self) -> str:
        return f"`{self.of}` → `{self.form}`"


def conversion(form: str, of: str) -> Step | str | None:
    """Return the step from what layers compute of a tensor to what they do in the variant, or the reason for none."""
    if form == of:
        return None
    known = form in (PLAIN, ONE_MORE) and of in (PLAIN, ONE_MORE, SOFTPLUS)
    return Convert(0, form, of) if known else f"used as `{of}`, here as `{form}`"


def regrouping(axis: int, parts: int, channels: int, heads: tuple[int, int]) -> Step | str:
    """Return the step to another number of heads of keys and values, that of both networks, or the reason for none.

    Args:
        axis: the axis of heads.
        parts: the keys and values that it has.
        channels: the channels of each of them.
        heads: the numbers of heads.
    """
    (ours, theirs), width = heads, channels // heads[0]
    if theirs % ours == 0:
        return Average(axis, parts, ours, theirs)
    if ours % theirs:
        return f"{theirs} heads of keys and values, here {ours}"
    at = ((part * theirs + head * theirs // ours) * width for part in range(parts) for head in range(ours))
    return Select(axis, tuple(i + n for i in at for n in range(width)), parts * theirs * width, "heads")


@dataclass(frozen=True)
class Lengthen(Step):
    """Linear interpolation of a table along one axis, such as relative positions in PySlowFast's checkpoint loading."""

    size: int
    of: int
    what: str = "distances"

    @property
    def verb(self) -> str:
        return INTERPOLATED

    @property
    def text(self) -> str:
        return f"{self.of} → {self.size} {self.what}, linear"


def least_faithful(verbs: Iterable[str]) -> str:
    """Return the least faithful of several verbs; `copied` if there is none."""
    return min(verbs, key=VERBS.index, default=COPIED)


def _grid(size: Size3) -> str:
    t, h, w = size
    return str(t) if (h, w) == (1, 1) else f"{h}×{w}" if t == 1 else f"{t}×{h}×{w}"
