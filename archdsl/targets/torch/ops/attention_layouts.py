"""Layouts of the values in an attention with lines, the operations on them, and the form of the attention."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.grid import FRAME
from archdsl.layers.attention_lines import RESULT_LINE
from archdsl.targets.torch.ops.attention_patterns import patterns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid
    from archdsl.layers.attention_written import WrittenAttention

# Orders of axes; with heads apart the channels are (n, d), in `FIRST` the batch is (b n).
LAST = "b t h w c"
ROWS = "b m c"
ALONE, EACH_ALONE = "b c", "(b n) c"  # of a grid of 1×1×1
FIRST = "b c t h w"
EACH = "(b n) t h w c", "(b n) m c"  # heads as if they were clips
# A row of positions as a grid, for layers that treat positions on their own and take no rows.
ROW_LAST, ROW_FIRST = "b m 1 1 c", "b c m 1 1"
IN_ROWS = ROWS, EACH[1], ROW_LAST, ROW_FIRST  # whose positions cannot be put into a grid again
CHANNELS_FIRST = FIRST, ROW_FIRST
HEADS = "b n m d"  # queries, keys and values as attention takes them


class Layout(NamedTuple):
    """The axes of a value: their order, whether heads are apart, and how many branches its channels hold.

    `token` is the number of the class token's value, if that goes by; otherwise -1.
    """

    order: str
    apart: bool = False
    stack: int = 1
    token: int = -1

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

    kind: str  # `whole`, `axes` or `windows`
    token: int  # number of tokens in each group
    frames: bool  # whether each frame has tokens
    batch: str
    group: str
    cut_first: bool  # windows are cut before the lines
    flat: bool  # lines work on positions in one row
    strided: bool  # queries or keys have grids of their own

    @property
    def is_split(self) -> bool:
        """True if class tokens are copied into groups."""
        return self.token > 0 and self.kind != "whole"


def form_of(layer: WrittenAttention, inputs: Sequence[Grid]) -> Form:
    """Return the form of an attention."""
    x = inputs[0]
    kind, token = layer.form, x.tokens.number
    _, batch, group = patterns(layer.axes)
    alike = all(other.size == x.size and not other.token for other in inputs[1:])
    by_position = layer.is_by_position() and not token
    goes_on = layer.is_by_position(RESULT_LINE)  # the result
    return Form(
        kind, token, x.token == FRAME, batch, group, kind == "windows" and by_position and alike and goes_on,
        kind == "whole" and by_position and (goes_on or not layer.result_reads_others()), layer.strided,
    )  # fmt: skip
