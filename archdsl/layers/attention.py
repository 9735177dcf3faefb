from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.grid import Grid, fixed
from archdsl.core.sym import formula_of
from archdsl.core.values import Symbol
from archdsl.layers.attention_axes import line_axes
from archdsl.layers.attention_costs import macs
from archdsl.layers.attention_interior import interior_of
from archdsl.layers.attention_lines import (
    CONCATENATION,
    COSINE,
    GRID,
    OUTSIDE,
    RESULT,
    RESULT_LINE,
    SOFTMAX,
    Between,
    Origin,
    X,
    geometry,
)  # fmt: skip
from archdsl.layers.attention_token_lines import has_token_lines
from archdsl.layers.attributes import Integer
from archdsl.layers.axes import Axis, Heads, Inner
from archdsl.layers.base import VALUES, layer
from archdsl.layers.groups import AXES
from archdsl.layers.interior import Openable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.layers.attention_lines import Application, BiasLine, Geometry, Lines
    from archdsl.layers.attributes import Attribute, Size3
    from archdsl.layers.base import Layer
    from archdsl.layers.bias import Bias
    from archdsl.layers.interior import Interior

DIM = Integer(0, minimum=0, doc="channels of queries, all heads together; 0: those of the input")
LOGIT_SCALE = "logit_scale"  # of cosines, a number for each head
PAIR = "pair.weight"  # of the score `concatenation`: a number for each channel of a query, then of a key
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


@layer("attention", category="attention")
class Attention(Between, Openable):
    """Attention: each position gathers values from others, weighted by how its query meets their keys.

    y[i] = proj(Σ f(q[i], k[j]) · v[j]), over the positions j that `over`, `window` and the like select. The weights f
    are, for N positions (Wang et al. 2018, section 3.2; Vaswani et al. 2017): `softmax`: softmax(q·k / √d + b) with d
    channels a head and the biases b; `cosine`: the same of τ · cos(q, k) with a learned τ for each head (Liu et al.
    2022); `dot_product`: q·k / N; `concatenation`: relu(w · [q, k]) / N with learned w.

    Positions are looked at in groups: all along the axes of `over`, or in a `window`, which becomes as small as the
    axis that it covers. Windows that do not divide the grid are filled with zeros, which are looked at as the rest (Liu
    et al. 2022); `shift` moves all windows towards the end, round the border, where positions from its two sides do not
    see each other: their scores are 100 lower, as in the authors' code, or −∞ beside a class token and without `scale`.
    With a `dilation` of d a group holds every d-th position. A `band` of n lets each position see n/2 before and behind
    it, and costs as much as the axis is long.

    Lines in braces say how queries, keys and values are made; without braces each is a linear layer of what enters.
    Where lines change the grid of queries or keys, windows are cut out of theirs.

    A class token is one more position of each group: where there are several it is copied, and its results are
    averaged. In a band it sees all positions, and all see it (Beltagy et al. 2020). It has no distance.
    """

    heavy = True
    takes_tokens = True
    takes_lines = True
    trains: bool = True  # whether layers are there that only training needs
    dim: int  # channels of queries, all heads together; 0: those of the input

    def __init__(self, lines: Lines) -> None:
        super().__init__(**lines.between.values(), dim=_channels(lines.shapes["q"].channels, lines.x))
        self.lines = lines
        attributes: dict[str, Attribute[Any]] = {**Between.attributes, "dim": DIM}
        for name, inner in layers_inside(lines):
            attributes |= {f"{name}.{k}": a for k, a in inner.attributes.items()}
        self.__dict__["attributes"] = attributes

    def values(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in self.attributes if "." not in name}
        for name, inner in layers_inside(self.lines):
            found |= {f"{name}.{k}": v for k, v in inner.values().items()}
        return found

    def changed(self, **values: Any) -> Attention:
        other = copy(self)
        other.__dict__.update({k: v for k, v in values.items() if "." not in k})
        lines = other.lines = copy(self.lines)
        lines.applications, lines.biases = [copy(a) for a in lines.applications], [copy(b) for b in lines.biases]
        for name, line in lines_inside(lines):
            own = {k.removeprefix(f"{name}."): v for k, v in values.items() if k.startswith(f"{name}.")}
            layer: Any = line.layer.changed(**own)
            line.layer = layer
        return other

    def for_inference(self) -> Attention:
        other = self.changed(dropout=0.0)
        other.trains = False
        return other

    def layers_inside(self) -> Sequence[Layer]:
        return [layer for _, layer in layers_inside(self.lines)]

    # --- facts ---

    @property
    def axes(self) -> str:
        """The axes that a position looks along."""
        return AXES[self.over[0]]

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
        ends = tuple(sorted(self.lines.branches.items()))
        rows = ((a.name, a.layer.kind, a.inputs, a.stack, a.by_head, a.tokens) for a in self.lines.applications)
        d, e = self.widths
        biases = (tuple((b.layer.kind, b.label) for b in self.lines.biases),)
        between = self.kv_heads > 0, self.causal, self.cosine, (d > e) - (d < e), *biases
        band = (self.is_banded, *map(int, self.dilation)) if self.band else ()
        between = self.lines.tokens, *between, self.over, band
        return (*rows, ends, len(self.lines.externals), *between, self.trains)

    # --- rules ---

    def is_sized(self, x: Grid) -> bool:
        """Return True if its code is for one size of the grid only."""
        return bool(x.token or self.lines.biases or self.band) or any(self.lines.tokens) or self.is_cut

    def infer(self, *inputs: Grid) -> Grid:
        if self.is_sized(inputs[0]):
            for x in inputs:
                fixed(x)
        found = self._grid(self.lines.branches[RESULT_LINE], [self.lines.filled(x) for x in inputs])
        return Grid(found.channels, *inputs[0].size, found.tokens) if self.lines.is_filled else found

    def _grid(self, origin: Origin, inputs: Sequence[Grid]) -> Grid:
        """Return the shape of a value, all heads together, for inputs of these shapes."""
        if origin.application == RESULT:
            q, v = (self._grid(self.lines.branches[n], inputs) for n in "qv")
            channels = v.channels // self.kv_heads * self.heads if self.kv_heads else v.channels
            return Grid(channels, *q.size, q.tokens)
        if origin.application < 0:
            return inputs[
                0 if origin.application == X else 1 + self.lines.externals.index(OUTSIDE - origin.application)
            ]
        application = self.lines.applications[origin.application]
        given = [self._grid(o, inputs) for o in application.inputs[min(origin.part, len(application.inputs) - 1)]]
        heads = application.heads
        seen = zip(given, application.shapes, strict=True)
        shape = application.layer.infer(*(Grid(x.channels // heads, *x.size, s.tokens) for x, s in seen))
        part = min(origin.part, len(application.tokens) - 1)
        tokens = application.tokens[part] if application.tokens else shape.tokens
        return Grid(shape.channels * heads, *shape.size, tokens)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        own: dict[str, tuple[int, ...]] = {PAIR: (1, 2 * self.widths[0])} if self.score == CONCATENATION else {}
        for bias in self.lines.biases:
            own |= bias.named(bias.layer.weights())
        scale = {LOGIT_SCALE: (int(self.heads), 1, 1)} if self.cosine else {}
        return self.lines.weights() | own | scale

    def buffers(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for a in self.lines.applications:
            found |= {f"{a.name}.{k}": shape for k, shape in a.layer.buffers(*a.shapes).items()}
        for bias in self.lines.biases:
            found |= bias.named(bias.layer.buffers())
        return found

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        found: dict[str, tuple[Axis, ...]] = {PAIR: (Axis(), Inner(2))} if self.score == CONCATENATION else {}
        for bias in self.lines.biases:
            found |= bias.named(bias.layer.tensor_axes())
        scale: dict[str, tuple[Axis, ...]] = {LOGIT_SCALE: (Heads(), Axis(), Axis())} if self.cosine else {}
        return found | line_axes(self.lines) | scale

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        found = {PAIR: pair_init(self.lines)} if self.score == CONCATENATION else {}
        for bias in self.lines.biases:
            found |= bias.named(bias.layer.inits())
        return found | line_inits(self.lines)

    def macs(self, output: Grid, *inputs: Grid) -> int:
        return macs(self)

    def interior(self, *inputs: Grid) -> Interior | None:
        return interior_of(self.lines, self.params(*inputs), self.macs(self.infer(*inputs), *inputs))

    def connections(self) -> tuple[object, ...]:
        return tuple((a.name, a.inputs) for a in self.lines.applications)


def lines_inside(lines: Lines) -> list[tuple[str, Application | BiasLine]]:
    """Return the layers of lines and biases, each with the name before those of its attributes."""
    layers = [(str(number), application) for number, application in enumerate(lines.applications)]
    return [*layers, *((f"bias.{bias.label}", bias) for bias in lines.biases)]


def layers_inside(lines: Lines) -> list[tuple[str, Layer]]:
    """Return the layers alone."""
    return [(name, line.layer) for name, line in lines_inside(lines)]


def _plain(size: Size3) -> Size3:
    t, h, w = size
    return int(t), int(h), int(w)


def line_inits(lines: Lines) -> dict[str, Symbol]:
    """Return the initialisers of the tensors of lines, by name."""
    found: dict[str, Symbol] = {}
    for a in lines.applications:
        found |= {f"{a.name}.{k}": v for k, v in a.layer.inits(*a.shapes).items()}
    return found


def pair_init(lines: Lines) -> Symbol:
    """Return the initialiser of the numbers of the score `concatenation`: that of the projection of queries."""
    linears: list[Any] = [a.layer for a in lines.applications if "q" in a.letters and a.layer.kind == "linear"]
    return linears[-1].init if linears else Symbol("normal", (0.01,))


def _channels(out: int, x: Grid) -> int:
    """Return a number of channels; 0 for those of the input."""
    return 0 if formula_of(out) == formula_of(x.channels) else out
