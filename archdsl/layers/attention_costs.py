"""Multiply-adds (FLOPs / 2) of an attention with lines: those of its layers, and those between positions."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from archdsl.layers.attention_arguments import CONCATENATION, TOKEN
from archdsl.layers.attention_facts import widths_of_token
from archdsl.layers.attention_geometry import geometry
from archdsl.layers.attention_token_lines import applied, has_token_lines

if TYPE_CHECKING:
    from archdsl.layers.attention_facts import AttentionFacts


def macs(layer: AttentionFacts) -> int:
    """Return the multiply-adds for one clip."""
    lines = layer.lines
    total = sum(a.macs() for a in applied(lines)) + sum(b.layer.bias_macs() for b in lines.biases)
    kind = layer.form
    if kind == "band":
        pairs = _in_band(layer)
    else:
        found = [geometry(lines, over) for over in lines.between.over]
        pairs = sum(g.pairs for g in found) // len(found)
    d, e = layer.widths
    if lines.between.score == CONCATENATION:
        return total + layer.heads * (_rows(layer) * d + pairs * e)
    if has_token_lines(lines):
        pairs -= _of_queries(layer) if kind == "whole" else 0
        total += _of_token(layer)
    return total + pairs * layer.heads * (d + e)


def _in_band(layer: AttentionFacts) -> int:
    """Return the pairs of a query and a key in the chunks of a band, and those of a class token's queries."""
    x = layer.lines.entering
    token, (length, reach, chunk) = x.tokens.number, layer.chunks
    pairs = x.positions * (length + token)
    if layer.is_banded:
        chunks = -(-length // chunk)
        pairs = x.positions // length * chunks * chunk * (chunk + 2 * reach + token)
    return pairs if has_token_lines(layer.lines) else pairs + token * (x.positions + token)


def _rows(layer: AttentionFacts) -> int:
    """Return the queries and keys of all groups, averaged over the parts of the heads."""
    found = [geometry(layer.lines, over) for over in layer.lines.between.over]
    rows = (g.clips * g.groups.number * (prod(g.queries) + prod(g.keys) + sum(g.tokens)) for g in found)
    return sum(rows) // len(found)


def _of_queries(layer: AttentionFacts) -> int:
    """Return the pairs of a class token's queries in the one group of all positions."""
    queries, keys = layer.geometry.tokens
    return queries * (prod(layer.geometry.keys) + keys)


def _of_token(layer: AttentionFacts) -> int:
    """Return the multiply-adds of a class token that looks at all positions with lines of its own."""
    q, k = (layer.lines.shapes[TOKEN + n] for n in "qk")
    return q.tokens.number * (k.positions + k.tokens.number) * layer.heads * sum(widths_of_token(layer))
