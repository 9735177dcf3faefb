"""Multiply-adds (FLOPs / 2) of attention, in each of its forms."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from archdsl.core.grid import FRAME, Grid
from archdsl.layers.attention_rules import CONCATENATION, DECOMPOSED, GAUSSIAN, SAME, Pooling
from archdsl.layers.groups import AXES

if TYPE_CHECKING:
    from archdsl.layers.attention import Attention


def macs(layer: Attention, x: Grid) -> int:
    """Return the multiply-adds of projections, attention weights and weighted sums, for one clip."""
    if layer.half_over != SAME:
        return _macs_of_halves(layer, x)
    if layer.arrangement(x) == "band":
        return _macs_of_band(layer, x)
    clips, token, dim = (int(x.t) if x.token == FRAME else 1), x.tokens.number, layer.inner(x)
    found, (q, k) = layer.groups(x), layer.extents(x)
    queries, keys = found.number * (prod(q) + token), found.number * (prod(k) + token)
    one = Grid(1, *found.grid)
    rows = few = prod(found.grid) + token  # projected positions, for queries and for keys
    if not layer.pooled and layer.score != GAUSSIAN:
        rows = few = queries
    elif layer.keys.is_there and layer.kv_pool_first:
        few = prod(layer.keys.of(one)) + token
    pairs = queries * (prod(k) + token)
    total = queries * dim * (layer.out or x.channels) + few * dim * x.channels + pairs * dim
    if layer.score == GAUSSIAN:
        return clips * (total + pairs * x.channels)
    total += (rows + few) * dim * x.channels  # queries and keys
    total += (queries + keys) * dim if layer.score == CONCATENATION else pairs * dim
    if layer.pool == "conv":
        total += sum(n * prod(p.of(one)) * prod(p.kernel) for n, p in _pooled_parts(layer)) * dim
    if layer.position == DECOMPOSED:
        total += found.number * prod(q) * dim * sum(n for a, n in zip("thw", k, strict=True) if a in layer.axes)
    return clips * total


def _pooled_parts(layer: Attention) -> list[tuple[int, Pooling]]:
    return [(n, p) for n, p in ((1, layer.queries), (2, layer.keys)) if p.is_there]


def _macs_of_halves(layer: Attention, x: Grid) -> int:
    dim, out = layer.inner(x), layer.out or x.channels
    halves = AXES[layer.over], AXES[layer.half_over]
    seen = [prod(n for a, n in zip("thw", x.size, strict=True) if a in axes) for axes in halves]
    return x.positions * (3 * dim * x.channels + dim * out + sum(seen) * dim)


def _macs_of_band(layer: Attention, x: Grid) -> int:
    token, dim = x.tokens.number, layer.inner(x)
    rows = x.positions + token
    length, reach, chunk = layer.chunks(x)
    chunks = -(-length // chunk)
    pairs = x.positions // length * chunks * chunk * (chunk + 2 * reach + token)
    if not layer.is_banded(x):
        pairs = x.positions * (length + token)
    total = rows * dim * (3 * x.channels + (layer.out or x.channels)) + 2 * pairs * dim
    total += 2 * token * rows * dim
    return total + ((token + 2 * rows) * x.channels * dim if layer.token_projections else 0)
