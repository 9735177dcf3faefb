"""Facts about an attention, which follow from its lines and its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.layers.attention_arguments import COSINE, GRID, RESULT_LINE, SOFTMAX, Between
from archdsl.layers.attention_geometry import geometry
from archdsl.layers.attention_lines import RESULT, Origin
from archdsl.layers.attention_token_lines import has_token_lines
from archdsl.layers.base import VALUES
from archdsl.layers.groups import AXES
from archdsl.layers.interior import Openable

if TYPE_CHECKING:
    from archdsl.core.grid import Grid
    from archdsl.layers.attention_geometry import Geometry
    from archdsl.layers.attention_lines import Application, Lines
    from archdsl.layers.attributes import Size3
    from archdsl.layers.bias import Bias

from typing import TYPE_CHECKING

from archdsl.layers.attention_arguments import TOKEN

if TYPE_CHECKING:
    from archdsl.layers.attention_facts import AttentionFacts
    from archdsl.layers.attention_lines import Application, Lines


LEAST_CHUNK = 32  # queries of a chunk of a band, if there are as many


@dataclass(frozen=True)
class Side:
    """The grid of queries, or that of keys and values."""

    size: Size3
    step: Size3  # positions of the finest grid that lie between neighbours
    is_own: bool  # it is not the grid that enters


class Residual(NamedTuple):
    """A sum of queries and result: the number of its application, and whether class tokens are added, too.

    `replaced` are the applications that need no code of their own then.
    """

    application: int
    replaced: frozenset[int]
    with_token: bool


class AttentionFacts(Between, Openable):
    """Base class of attention: facts that follow from lines and arguments."""

    lines: Lines
    trains: bool = True  # whether layers are there that only training needs
    dim: int  # channels of queries, all heads together; 0: those of the input

    @property
    def axes(self) -> str:
        """The axes that a position looks along."""
        return AXES[self.over[0]]

    @property
    def told_over(self) -> tuple[str, ...]:
        """The axes that its code tells: all of them where all positions are one group, whichever axes make it that."""
        reads_axes = self.causal or self.lines.biases or self.lines.of_frames
        return ("space_time",) if self.form == "whole" and not reads_axes else self.over

    @property
    def is_of_frames(self) -> bool:
        """True if whole frames with their tokens, or what is at one place in all frames, are attended to."""
        return self.lines.of_frames and self.form == "whole" and len(self.lines.branches) == 4

    @property
    def softmax(self) -> bool:
        """True if weights are a softmax of the scores."""
        return self.score in (SOFTMAX, COSINE)

    @property
    def cosine(self) -> bool:
        """True if scores are cosines."""
        return self.score == COSINE

    @property
    def is_scaled(self) -> bool:
        """True if scores are divided by √d."""
        return self.score == SOFTMAX and self.scale

    @property
    def widths(self) -> tuple[int, int]:
        """Channels of one head: of queries and keys, and of values."""
        shapes = self.lines.shapes
        return int(shapes["q"].channels) // self.heads, int(shapes["v"].channels) // (self.kv_heads or self.heads)

    @property
    def queries(self) -> Side:
        return self._side("q")

    @property
    def keys(self) -> Side:
        return self._side("k")

    def _side(self, letter: str) -> Side:
        """Return the grid of queries or keys; steps are in positions of the input, or of a finer value from outside."""
        shapes = self.lines.shapes
        found, whole, *others = (_plain(g.size) for g in (shapes[letter], self.lines.x, shapes["q"], shapes["k"]))
        t, h, w = (-(-max(sizes) // n) for n, *sizes in zip(found, whole, *others, strict=True))
        return Side(found, (t, h, w), found != whole)

    @property
    def strided(self) -> bool:
        """True if queries or keys have a grid of their own."""
        return self.queries.is_own or self.keys.is_own

    @cached_property
    def geometry(self) -> Geometry:
        """The groups of positions that see each other."""
        return geometry(self.lines, self.over[0])

    @property
    def table(self) -> Bias | None:
        """The bias whose numbers are those of distances in a window, if there is one."""
        return next((b.layer for b in self.lines.biases if b.layer.in_windows), None)

    @property
    def form(self) -> str:
        """The form of its code: `whole` (one group), `axes`, `windows`, `band`, or `parts` of the heads."""
        if len(self.over) > 1:
            return "parts"
        if self.is_banded or (self.band and (self.is_cut or has_token_lines(self.lines))):
            return "band"
        if self.is_cut or self.table is not None:
            return "windows"
        if not any(self.lines.tokens):
            return "whole" if len(self.axes) == 3 else "axes"
        return "whole" if self.geometry.groups.number == 1 else "axes"

    @property
    def is_cut(self) -> bool:
        """True if groups are windows or dilated."""
        return any(self.window[i] for i, a in enumerate("thw") if a in self.axes) or any(d != 1 for d in self.dilation)

    @property
    def is_banded(self) -> bool:
        """True if a band hides positions, or tells their distances."""
        length, reach, _ = self.chunks if self.band else (0, 0, 0)
        return self.band > 0 and (self.table is not None or reach < length - 1)

    @property
    def chunks(self) -> Size3:
        """Length of a sequence of a band, its reach to each side, and the number of queries in a chunk."""
        at = "thw".index(self.axes)
        length, reach = int(self.lines.entering.size[at]) // int(self.dilation[at]), int(self.band) // 2
        return length, reach, min(max(2 * reach, LEAST_CHUNK), length)

    def before(self) -> list[Application]:
        """Return the layers that bring queries, keys and values."""
        return [a for a in self.lines.applications if a.letters != RESULT_LINE]

    def residual(self) -> Residual | None:
        """Return the sum of queries and result with which `proj` begins; None if there is none by head."""
        lines = self.lines
        if self.form in ("band", "parts") or has_token_lines(lines):
            return None
        readers = [n for n, a in enumerate(lines.applications) for part in a.inputs if Origin(RESULT) in part]
        added = lines.applications[readers[0]] if len(readers) == 1 else None
        if added is None or added.layer.joins != VALUES or not added.layer.hands_on_gradient or added.tokens:
            return None
        [operands] = added.inputs
        others = [o for o in operands if o != Origin(RESULT)]
        if len(operands) != 2 or len(others) != 1:
            return None
        if others[0] == lines.branches["q"]:
            return Residual(readers[0], frozenset(readers), with_token=True)
        selecting = lines.applications[others[0].application] if others[0].application >= 0 else None
        if selecting is None or getattr(selecting.layer, "part", "") != GRID or selecting.by_head or selecting.tokens:
            return None
        if selecting.inputs != ((lines.branches["q"],),):
            return None
        selected = [n for n, a in enumerate(lines.applications) for part in a.inputs if others[0] in part]
        replaced = {readers[0], others[0].application} if len(selected) == 1 else {readers[0]}
        return Residual(readers[0], frozenset(replaced), with_token=False)

    def is_idle(self, application: Application) -> bool:
        """Return True for a layer that does something in training only, where it is not trained."""
        return application.layer.training_only and (application.frozen or not self.trains)

    def is_by_position(self, line: str = "") -> bool:
        """Return True if the lines before attention treat each position on its own, or if `proj` does."""
        behind = [a for a in self.lines.applications if a.letters == RESULT_LINE]
        return all(a.is_by_position() for a in (behind if line == RESULT_LINE else self.before()))

    def result_reads_others(self) -> bool:
        """Return True if the line `proj` reads other values than the result, and than queries added to it first."""
        own = {n for n, a in enumerate(self.lines.applications) if a.letters == RESULT_LINE}
        residual = self.residual()
        done = residual.replaced if residual is not None else frozenset[int]()
        read = {o.application for n in own - done for part in self.lines.applications[n].inputs for o in part}
        return bool(read - {RESULT, *own})

    def structure(self) -> tuple[Any, ...]:
        """Return what determines the code of the lines, besides the attributes of their layers."""
        local = self.lines.local
        ends = tuple(sorted((name, local(origin)) for name, origin in self.lines.branches.items()))
        read = [tuple(tuple(map(local, part)) for part in a.inputs) for a in self.lines.applications]
        made = ((a.name, a.layer.kind, a.stack, a.by_head, a.tokens, _is_held(a)) for a in self.lines.applications)
        rows = zip(made, read, strict=True)
        d, e = self.widths
        biases = (tuple((b.layer.kind, b.label, b.frozen) for b in self.lines.biases),)
        between = self.kv_heads > 0, self.causal, self.cosine, self.cap, (d > e) - (d < e), *biases
        band = (self.is_banded, *map(int, self.dilation)) if self.band else ()
        between = self.lines.tokens, *between, self.told_over, band
        return (*rows, ends, len(self.lines.externals), *between, self.trains)

    def is_sized(self, x: Grid) -> bool:
        """Return True if its code is for one size of the grid only."""
        return bool(x.token or self.lines.biases or self.band) or any(self.lines.tokens) or self.is_cut


def _is_held(application: Application) -> bool:
    """Return True if it makes a difference to a layer that it is frozen."""
    layer, shapes = application.layer, application.shapes
    return application.frozen and bool(layer.training_only or layer.weights(*shapes) or layer.buffers(*shapes))


def _plain(size: Size3) -> Size3:
    t, h, w = size
    return int(t), int(h), int(w)


def widths_of_token(layer: AttentionFacts) -> tuple[int, int]:
    """Return the channels of one head of a class token's own queries, and of its values."""
    q, v = (int(layer.lines.shapes[TOKEN + n].channels) for n in "qv")
    return q // layer.heads, v // (layer.kv_heads or layer.heads)
