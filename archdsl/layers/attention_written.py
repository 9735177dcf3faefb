"""Attention with lines: layers of their own bring queries, keys and values, and others take the result further."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from archdsl.core.grid import FRAME, Grid, fixed
from archdsl.layers.attention import Attention
from archdsl.layers.attention_axes import line_axes
from archdsl.layers.attention_facts import Unlike, channels_of
from archdsl.layers.attention_lines import (
    COSINE,
    GRID,
    OUTSIDE,
    RESULT,
    RESULT_LINE,
    SOFTMAX,
    TOKEN,
    X,
    bias_geometry,
    geometry,
)  # fmt: skip
from archdsl.layers.attention_rules import CONCATENATION, EMBEDDED_GAUSSIAN, TABLE, Pooling
from archdsl.layers.axes import Axis, Heads
from archdsl.layers.groups import AXES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.values import Symbol
    from archdsl.layers.attention_lines import Application, BiasLine, Lines, Origin
    from archdsl.layers.attributes import Attribute, Size3
    from archdsl.layers.base import Layer

LOGIT_SCALE = "logit_scale"  # of cosines, a number for each head
PAIR = "pair."  # the beginning of the names of tensors of the score `concatenation`
OWN = ("table", "relative.", PAIR)  # those of tensors that settings have besides those of lines


@dataclass(frozen=True)
class Resized(Pooling):
    """The grid of a branch, whatever has made it smaller than that of the input."""

    size: Size3 = (1, 1, 1)
    whole: Size3 = (1, 1, 1)  # of the input
    finest: Size3 = (1, 1, 1)  # of the input or a value from outside that is finer

    @property
    def is_there(self) -> bool:
        return self.size != self.whole

    @property
    def step(self) -> Size3:
        t, h, w = (-(-n // m) for n, m in zip(self.finest, self.size, strict=True))
        return t, h, w

    def of(self, x: Grid) -> Size3:
        return self.size if self.is_there else x.size


class WrittenAttention(Attention):
    """Attention with lines of its own; the attributes of `Attention` hold what happens between positions.

    The attributes of the lines' layers are called by their numbers: `3.eps`.
    """

    written_as: ClassVar[str] = "attention_written"
    trains: bool = True  # whether layers are there that only training needs

    def __init__(self, lines: Lines, **settings: Any) -> None:
        super().__init__(**{k: a.default for k, a in Attention.attributes.items()} | settings)
        self.written_in = lines
        attributes: dict[str, Attribute[Any]] = dict(Attention.attributes)
        for name, layer in layers_inside(lines):
            attributes |= {f"{name}.{k}": a for k, a in layer.attributes.items()}
        self.__dict__["attributes"] = attributes

    def values(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in Attention.attributes}
        for name, layer in layers_inside(self.lines):
            found |= {f"{name}.{k}": v for k, v in layer.values().items()}
        return found

    def changed(self, **values: Any) -> WrittenAttention:
        other = copy(self)
        other.__dict__.update({k: v for k, v in values.items() if k in Attention.attributes})
        lines = other.written_in = copy(self.lines)
        lines.applications, lines.biases = [copy(a) for a in lines.applications], [copy(b) for b in lines.biases]
        for name, line in lines_inside(lines):
            own = {k.removeprefix(f"{name}."): v for k, v in values.items() if k.startswith(f"{name}.")}
            layer: Any = line.layer.changed(**own)
            line.layer = layer
        return other

    def for_inference(self) -> Attention:
        other = super().for_inference()
        other.__dict__["trains"] = False
        return other

    def layers_inside(self) -> Sequence[Layer]:
        return [layer for _, layer in layers_inside(self.lines)]

    # --- facts ---

    @property
    def lines(self) -> Lines:
        """The lines."""
        assert self.written_in is not None
        return self.written_in

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values, if fewer than those of queries; otherwise 0."""
        return self.lines.between.kv_heads

    @property
    def cosine(self) -> bool:
        """True if scores are cosines."""
        return self.lines.between.score == COSINE

    @property
    def causal(self) -> bool:
        """True if positions see no later frame."""
        return self.lines.between.causal

    @property
    def widths(self) -> tuple[int, int]:
        """Channels of one head: of queries and keys, and of values."""
        shapes = self.lines.shapes
        return int(shapes["q"].channels) // self.heads, int(shapes["v"].channels) // (self.kv_heads or self.heads)

    @property
    def queries(self) -> Pooling:
        return self._resized("q")

    @property
    def keys(self) -> Pooling:
        return self._resized("k")

    def _resized(self, letter: str) -> Pooling:
        shapes, one = self.lines.shapes, (1, 1, 1)
        found, whole, *others = (_plain(g.size) for g in (shapes[letter], self.lines.x, shapes["q"], shapes["k"]))
        t, h, w = (max(sizes) for sizes in zip(whole, *others, strict=True))
        return Resized("heads", one, one, found, whole, (t, h, w))

    def pool_modules(self, token: str = "") -> list[str]:
        return []

    def before(self) -> list[Application]:
        """Return the layers that bring queries, keys and values."""
        return [a for a in self.lines.applications if a.letters != RESULT_LINE]

    def is_by_position(self, line: str = "") -> bool:
        """Return True if the lines before attention treat each position on its own, or if `proj` does."""
        behind = [a for a in self.lines.applications if a.letters == RESULT_LINE]
        return all(a.is_by_position() for a in (behind if line == RESULT_LINE else self.before()))

    def result_reads_others(self) -> bool:
        """Return True if the line `proj` reads other values than the result."""
        own = {n for n, a in enumerate(self.lines.applications) if a.letters == RESULT_LINE}
        read = {o.application for n in own for part in self.lines.applications[n].inputs for o in part}
        return bool(read - {RESULT, *own})

    def structure(self) -> tuple[Any, ...]:
        """Return what determines the code of the lines, besides the attributes of their layers."""
        ends = tuple(sorted(self.lines.branches.items()))
        rows = ((a.name, a.layer.kind, a.inputs, a.stack, a.by_head, a.tokens) for a in self.lines.applications)
        d, e = self.widths
        biases = (tuple((b.layer.kind, b.label) for b in self.lines.biases),)
        between = self.kv_heads > 0, self.causal, self.cosine, (d > e) - (d < e), *biases
        return (*rows, ends, len(self.lines.externals), *between, self.trains)

    # --- rules ---

    def is_sized(self, x: Grid) -> bool:
        return super().is_sized(x) or bool(self.lines.biases)

    def table(self, x: Grid) -> Size3:
        return bias_geometry(self.lines).largest

    def infer(self, *inputs: Grid) -> Grid:
        if self.is_sized(inputs[0]):
            for x in inputs:
                fixed(x)
        return self._grid(self.lines.branches[RESULT_LINE], inputs)

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
        heads = self.heads if application.by_head else 1
        seen = zip(given, application.shapes, strict=True)
        shape = application.layer.infer(*(Grid(x.channels // heads, *x.size, s.tokens) for x, s in seen))
        tokens = given[0].tokens if application.tokens else shape.tokens
        return Grid(shape.channels * heads, *shape.size, tokens)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        own = {k: v for k, v in super().weights(inputs[0]).items() if k.startswith(PAIR)}
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
        found = {k: v for k, v in super().tensor_axes(inputs[0]).items() if k.startswith(PAIR)}
        for bias in self.lines.biases:
            found |= bias.named(bias.layer.tensor_axes())
        scale: dict[str, tuple[Axis, ...]] = {LOGIT_SCALE: (Heads(), Axis(), Axis())} if self.cosine else {}
        return found | line_axes(self.lines) | scale

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        found = {k: v for k, v in super().inits(inputs[0]).items() if k.startswith(PAIR)}
        for bias in self.lines.biases:
            found |= bias.named(bias.layer.inits())
        return found | line_inits(self.lines)

    def macs(self, output: Grid, *inputs: Grid) -> int:
        lines = self.lines
        found = geometry(lines, self.over)
        total = sum(a.macs() for a in lines.applications) + sum(b.layer.bias_macs() for b in lines.biases)
        return total + found.pairs * self.heads * sum(self.widths)


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


def written(lines: Lines) -> WrittenAttention:
    """Return the layer of lines that amount to no settings.

    Raises:
        Unlike: if its code cannot be printed yet.
    """
    between, x = lines.between, lines.x
    _check_printable(lines)
    return WrittenAttention(
        lines, heads=between.heads, over=between.over[0], window=between.window, shift=between.shift,
        dilation=between.dilation, band=between.band, dropout=between.dropout,
        scale=between.scale and between.score != COSINE,
        score=EMBEDDED_GAUSSIAN if between.score in (SOFTMAX, COSINE) else between.score,
        dim=channels_of(lines.shapes["q"].channels, x), **_position(lines),
    )  # fmt: skip


def _check_printable(lines: Lines) -> None:
    """Refuse lines for which there is no code.

    Raises:
        Unlike: for the first reason.
    """
    between = lines.between
    own = next((a.letters for a in lines.applications if a.letters.startswith(TOKEN)), "")
    new = {"over": len(between.over) > 1, "band": between.band > 0, "score": between.score == CONCATENATION}
    for name, is_new in {**new, own: bool(own)}.items():
        if is_new:
            message = f"`{between.score if name == 'score' else name}` with these lines"
            raise Unlike(message, name)
    for is_new, message, at in (*_arguments(lines), *_layers(lines)):
        if is_new:
            raise Unlike(message, *at)


def _arguments(lines: Lines) -> list[tuple[bool, str, tuple[str, ...]]]:
    """Return what arguments there is no code for, and names of the places to blame."""
    between, x, shapes = lines.between, lines.x, lines.shapes
    is_filled = x != lines.entering
    axes, q = AXES[between.over[0]], shapes["q"].size
    others = any(a not in axes and int(n) != int(m) for a, n, m in zip("thw", x.size, q, strict=True))
    is_cut = any((*between.window, *(d != 1 for d in between.dilation), *(b.layer.in_windows for b in lines.biases)))
    beside = "windows that do not divide a grid beside tokens or another value"
    other_grid = bool(lines.externals) and shapes["k"].size != x.size
    return [
        (between.causal and any(between.window), "`causal` in windows", ("causal",)),
        (len({shapes["q"].tokens, shapes["k"].tokens, x.tokens}) > 1, "tokens of queries or keys alone", ("k", "q")),
        (is_cut and others, "windows where lines shrink an axis that is not looked along", ("q", "k")),
        (any(between.window) and other_grid, "windows of keys on another grid", ("window",)),
        (is_filled and bool(lines.externals or x.tokens), beside, ("window",)),
    ]


def _layers(lines: Lines) -> list[tuple[bool, str, tuple[str, ...]]]:
    """Return what layers there is no code for, and names of the places to blame."""
    own = lines.applications
    places = ("q", "k", "v", RESULT_LINE)
    on_grids = (GRID if a.tokens else a.layer.kind for a in own if a.tokens or a.layer.kind in ("select", "rotary"))
    of_frames = next(on_grids, "") if lines.x.token == FRAME else ""
    by_head = lines.between.kv_heads > 0 and any(a.by_head and a.letters != "q" for a in own)
    return [
        (bool(of_frames), f"`{of_frames}` beside tokens of frames", places),
        (any(getattr(a.region, "repeat", 0) for a in own), "a block that is repeated in a line", places),
        (by_head, "`each_head` of heads that share keys", ("k", "v", "kv_heads")),
    ]


def _position(lines: Lines) -> dict[str, Any]:
    """Return the attributes of the distances that windows hold."""
    table = next((b.layer for b in lines.biases if b.layer.in_windows), None)
    return {} if table is None else {"position": TABLE, "table_prefix": table.takes_first_rows}
