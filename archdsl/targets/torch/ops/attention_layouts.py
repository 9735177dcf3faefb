"""Layouts of the values in an attention with lines, the operations on them, and the form of the attention."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.grid import FRAME
from archdsl.layers.attention_arguments import RESULT_LINE
from archdsl.targets.torch.ops.attention_patterns import patterns
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID, TOKENS, VECTOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid, Tokens
    from archdsl.layers.attention import Attention

# Orders of axes; with heads apart the channels are (n, d), in `FIRST` the batch is (b n).
LAST = "b t h w c"
ROWS = "b m c"
FRAMES = "b t m c"  # with tokens before the positions of each frame
ALONE, EACH_ALONE = "b c", "(b n) c"  # of a grid of 1×1×1
FIRST = "b c t h w"
EACH = "(b n) t h w c", "(b n) m c", "(b n) t m c"  # heads as if they were clips
# A row of positions as a grid, for layers that treat positions on their own and take no rows.
ROW_LAST, ROW_FIRST = "b m 1 1 c", "b c m 1 1"
IN_ROWS = ROWS, FRAMES, EACH[1], EACH[2], ROW_LAST, ROW_FIRST  # whose positions cannot be put into a grid again
OF_FRAMES = FRAMES, EACH[2]
CHANNELS_FIRST = FIRST, ROW_FIRST
BY_HEAD = {LAST: EACH[0], ROWS: EACH[1], FRAMES: EACH[2], ALONE: EACH_ALONE}
_CHANNELS_LAST = LAST, ROW_LAST, EACH[0]
HEADS = "b n m d"  # queries, keys and values as attention takes them


def heads_in(pattern: str, heads: str) -> str:
    """Return the argument `n` of a pattern; empty if heads are an axis of its left side."""
    return "" if "n" in re.sub(r"\(.*?\)", "", pattern.partition(" ->")[0]).split() else heads


def order_of(x: Grid) -> str:
    """Return the order of axes in which a value enters."""
    return FRAMES if x.token == FRAME else ROWS if x.tokens else LAST


class Layout(NamedTuple):
    """The axes of a value: their order, whether heads are apart, and how many branches its channels hold.

    `token` is the number of the tokens' value, if they go by; otherwise -1. `few` says whether heads that are apart are
    those of keys and values, which can be fewer.
    """

    order: str
    apart: bool = False
    stack: int = 1
    token: int = -1
    few: bool = False

    @property
    def heads(self) -> str:
        """The member that holds the number of its heads."""
        return "kv_heads" if self.few else "heads"

    @property
    def is_by_head(self) -> bool:
        """True if heads are as if they were clips."""
        return self.order in (*EACH, EACH_ALONE) or (self.apart and self.order in CHANNELS_FIRST)

    @property
    def taken_as(self) -> str:
        """The layout that layers take it for."""
        if self.order in (ALONE, EACH_ALONE):
            return VECTOR
        return GRID if self.order in CHANNELS_FIRST else CHANNELS_LAST if self.order in _CHANNELS_LAST else TOKENS

    def is_copied_to(self, wanted: Layout) -> bool:
        """Return True if no view of a value in this layout has the other: axes that become one lie apart."""
        if self.stack > 1 and (self.apart or self.is_by_head) != (wanted.apart or wanted.is_by_head):
            return True
        return wanted.is_by_head != self.is_by_head and not (self.is_by_head and wanted.apart)

    @property
    def pattern(self) -> str:
        """The axes as einops writes them."""
        channels = "(s d)" if self.stack > 1 else "d"
        if self.order in (*EACH, EACH_ALONE):
            return self.order.replace("c", channels)
        if self.apart and self.order in CHANNELS_FIRST:
            return self.order.replace("b c", f"(b n) {channels}")
        if self.apart:
            return self.order.replace("c", f"n {channels}")
        return self.order.replace("c", "(s n d)" if self.stack > 1 else "(n d)")


@dataclass
class Operation:
    """An operation that a macro of `attention_moves.j2` prints, or that of a layer: `application` is its number."""

    macro: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    names: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    application: int = -1
    copies: bool = False  # its output is no view of its input


@dataclass(frozen=True)
class Form:
    """The groups of positions that look at each other, and the layout in which lines see them."""

    kind: str  # `whole`, `axes`, `windows`, `band` or `parts` of the heads
    tokens: tuple[Tokens, Tokens]  # of queries, and of keys and values
    batch: str
    group: str
    cut_first: bool  # windows are cut before the lines
    fills: bool  # what enters is filled up with zeros, to whole windows
    flat: bool  # lines work on positions in one row
    strided: bool  # queries or keys have grids of their own
    grid: str = "t h w"  # the axes of a value as a pattern divides them
    divided: str = ""  # the sizes that such a pattern needs, as arguments

    @property
    def of_frames(self) -> bool:
        """True if each frame has tokens."""
        return FRAME in (tokens.scope for tokens in self.tokens)

    def copies(self, letter: str) -> bool:
        """Return True if tokens of a branch are copied into groups."""
        return bool(self.of(letter)) and self.kind in ("axes", "windows")

    def of(self, letter: str) -> Tokens:
        """Return the tokens of a branch."""
        return self.tokens[letter != "q"]

    def way(self, letter: str) -> str:
        """Return the method that divides a branch into groups; empty if that is a matter of patterns."""
        if self.copies(letter):
            is_own = letter != "q" and (self.strided or self.tokens[0] != self.tokens[1])
            return "split_keys" if is_own else "split"
        if self.kind != "windows" or self.cut_first:
            return ""
        return "windows.split_keys" if self.strided and letter != "q" else "windows.split"


def form_of(layer: Attention, inputs: Sequence[Grid]) -> Form:
    """Return the form of an attention."""
    x, shapes = inputs[0], layer.lines.shapes
    kind, tokens = layer.form, (shapes["q"].tokens, shapes["k"].tokens)
    _, batch, group = patterns(layer.axes)
    alike = all(other.size == x.size for other in inputs)
    by_position = layer.is_by_position() and not any((*tokens, *(i.tokens for i in inputs)))
    goes_on = layer.is_by_position(RESULT_LINE)  # the result
    cut_first = kind == "windows" and by_position and alike and goes_on
    form = Form(
        kind, tokens, batch, group, cut_first, layer.lines.is_filled and not cut_first,
        kind == "whole" and by_position and (goes_on or not layer.result_reads_others()), layer.strided,
    )  # fmt: skip
    return divided(form, layer) if kind == "band" else form


def divided(form: Form, layer: Attention) -> Form:
    """Return the form of a band, whose sequences hold every `dilation`-th position of an axis."""
    dilation = int(layer.dilation["thw".index(layer.axes)])
    if dilation == 1:
        return form
    grid, batch = form.grid.replace(layer.axes, f"({layer.axes} p)"), form.batch.replace(")", " p)")
    return replace(form, batch=batch, grid=grid, divided=f", p={dilation}")
