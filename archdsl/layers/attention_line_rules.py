"""Rules of the lines of an attention: what queries, keys, values, arguments and biases must have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attention_arguments import RESULT_LINE
from archdsl.layers.attention_between_rules import (
    check_cap,
    check_causal,
    check_list,
    check_score,
    check_token,
    check_token_lines,
)
from archdsl.layers.attention_line_faults import TITLES, LineFault, differ
from archdsl.layers.attention_lines import RESULT, Lines
from archdsl.layers.attention_window_rules import check_axes, check_band, check_filling, check_windows
from archdsl.layers.base import ShapeError, divisors

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.layers.attention_lines import BiasLine


def check(lines: Lines) -> None:
    """Check lines against each other, the arguments and what enters.

    Raises:
        LineFault: for the first fault.
    """
    rules: tuple[Callable[[Lines], None], ...] = (
        _check_heads, _check_shapes, check_axes, check_windows, check_filling, check_band, check_token,
        check_token_lines, check_score, check_cap, check_list, check_causal, _check_result,
    )  # fmt: skip
    for rule in rules:
        rule(lines)


# --- branches ---


def _check_heads(lines: Lines) -> None:
    between = lines.between
    for branch in "qkv":
        name = "kv_heads" if between.kv_heads and branch != "q" else "heads"
        channels, heads = lines.shapes[branch].channels, getattr(between, name)
        if channels % heads:
            message = f"{int(channels)} channels of {TITLES[branch]} cannot be split into {int(heads)} heads"
            hint = divisors(name, channels, nearest=heads)
            notes = [(f"the {TITLES[branch]} come from here", branch)]
            raise LineFault(message, name, branch, code="E0508", hint=hint, notes=notes)
    if between.kv_heads and between.heads % between.kv_heads:
        message = (
            f"{int(between.kv_heads)} heads of keys and values do not divide {int(between.heads)} heads of queries"
        )
        raise LineFault(message, "kv_heads", code="E0508", hint=divisors("kv_heads", between.heads))


def _check_shapes(lines: Lines) -> None:
    q, k, v = (lines.shapes[n] for n in "qkv")
    heads = lines.between.heads
    if int(q.channels) // heads != int(k.channels) // (lines.between.kv_heads or heads):
        hint = "scores are products of queries and keys: give each head of both the same channels"
        raise differ(lines, "q", "k", "E0501", hint)
    if tuple(map(int, k.size)) != tuple(map(int, v.size)):
        raise differ(lines, "k", "v", "E0502", "each key has a value: pool both in one line, `kv: …`")
    if k.tokens != v.tokens:
        raise differ(lines, "k", "v", "E0511", "each key has a value: `kv: …` changes both")


def _check_result(lines: Lines) -> None:
    """Check that the line of the result reads what attention computes."""
    waiting, known = [lines.branches[RESULT_LINE]], set[int]()
    while waiting:
        origin = waiting.pop()
        if origin.application == RESULT:
            return
        if origin.application >= 0 and origin.application not in known:
            known.add(origin.application)
            waiting += [o for part in lines.applications[origin.application].inputs for o in part]
    hint = "`proj` begins with the result; `add { in, q }` there adds the queries to it"
    raise LineFault("this line leaves out what attention computes", RESULT_LINE, hint=hint)


# --- axes and windows ---


# --- biases ---


def check_biases(lines: Lines) -> None:
    """Check the biases, whose geometry is known by now.

    Raises:
        LineFault: for the first fault.
    """
    tables = [b for b in lines.biases if b.layer.in_windows]
    for other in tables[1:]:
        if other.layer.takes_first_rows != tables[0].layer.takes_first_rows:
            message = f"`{other.label}` and `{tables[0].label}` read their distances differently"
            fault = LineFault(message, hint="the same `prefix` for both")
            fault.line = other.span
            raise fault
    for bias in lines.biases:
        _check_first_rows(bias, lines)
        try:
            bias.layer.check()
        except ShapeError as error:
            fault = LineFault(error.message, code=error.code, hint=error.hint)
            fault.line = bias.span
            raise fault from error


def _check_first_rows(bias: BiasLine, lines: Lines) -> None:
    """Refuse the first rows of a larger window's index where windows have no such index."""
    found = bias.layer.geometry
    is_pooled = found.strided or found.queries != found.keys
    if bias.layer.takes_first_rows and (is_pooled or lines.between.band):
        what = "are pooled" if is_pooled else "are in a band"
        message = f"`prefix` counts the positions of a window, and these {what}"
        fault = LineFault(
            message, hint="leave out `prefix`, or what pools them" if is_pooled else "leave out one of them"
        )
        fault.line = bias.span
        raise fault


# --- tokens and scores ---
