"""Tensors of the lines of an attention: the meanings of their axes, for weight transfers, and how they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.values import Symbol
from archdsl.layers.attention_arguments import LETTERS, RESULT_LINE
from archdsl.layers.attention_lines import RESULT, X
from archdsl.layers.axes import IN, OUT, Axis, In, Inner, Out

if TYPE_CHECKING:
    from typing import Any

    from archdsl.layers.attention_lines import Application, Lines


def line_axes(lines: Lines) -> dict[str, tuple[Axis, ...]]:
    """Return the meaning of each axis of the tensors of lines, by the names of the tensors."""
    found: dict[str, tuple[Axis, ...]] = {}
    last = _last(lines)
    for number, application in enumerate(lines.applications):
        is_output = application.letters == RESULT_LINE and number >= last
        for key, axes in application.layer.tensor_axes(*application.shapes).items():
            name = f"{application.name}.{key}"
            own = tuple(_meaning(lines, application, axis, is_output=is_output) for axis in axes)
            found.setdefault(name, own)  # that of the first use
    return found


def _last(lines: Lines) -> int:
    """Return the number of the layer that determines the channels of the output; one more than all if none does."""
    own = (n for n, a in enumerate(lines.applications) if a.letters == RESULT_LINE and _has_width(a))
    return max(own, default=len(lines.applications))


def _has_width(application: Application) -> bool:
    return bool(application.layer.width)


def _meaning(lines: Lines, application: Application, axis: Axis, *, is_output: bool) -> Axis:
    """Return the meaning of an axis of a layer's tensor in the attention."""
    if isinstance(axis, Out) and is_output:
        return OUT
    if isinstance(axis, Out) and _has_width(application):
        return _inner(lines, application, application.stack, int(application.shape.channels))
    if not isinstance(axis, (In, Out)):
        return axis
    source = _source(lines, application)
    if source >= 0 or source == RESULT:
        return _inner(lines, application, len(application.inputs), int(application.shapes[0].channels))
    return IN if source == X and not application.by_head else Axis()


def _source(lines: Lines, application: Application) -> int:
    """Return the application that the channels of an input come from, behind layers that keep them."""
    origin = application.inputs[0][0]
    while origin.application >= 0:
        before = lines.applications[origin.application]
        if _has_width(before) or before.by_head or len(before.inputs[0]) != 1:
            break
        origin = before.inputs[min(origin.part, len(before.inputs) - 1)][0]
    return origin.application


def _inner(lines: Lines, application: Application, parts: int, channels: int) -> Axis:
    """Return the axis of channels inside: those of heads, if there are as many as queries, keys or values have."""
    if application.by_head or channels not in {int(lines.shapes[n].channels) for n in LETTERS}:
        return Inner(parts)
    letters, heads = application.letters, int(lines.between.heads)
    kv_heads = int(lines.between.kv_heads) if set(letters) <= set("kv") else 0
    is_whole = len(letters) == parts and set(letters) <= set(LETTERS)
    return Inner(parts, kv_heads or heads, letters if is_whole else "", heads // kv_heads if kv_heads else 1)


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
