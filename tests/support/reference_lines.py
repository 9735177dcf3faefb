"""Attention in lines computed by its definition: every query with every key, in float64, and a mask.

The lines are those of the text, as `definition.lines` reads them. Nothing is cut, rolled or folded.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, prod
from typing import TYPE_CHECKING, Any

import reference_biases
import torch
from reference_value import Value
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from definition.axes import Axis
    from definition.lines import Attended, Bias, Made, Settings


Apply = Callable[[Any, list[Value], dict[str, Tensor]], Value]  # any other layer


def attended(layer: Attended, inputs: list[Value], w: dict[str, Tensor], apply: Apply) -> Value:
    """The result of an attention for what enters and the values from outside that its lines read."""
    size, padded = inputs[0].grid.shape[2:], layer.settings.padded
    t, h, width = (int(n) - m for n, m in zip(padded.size, size, strict=True))
    x, *others = (
        Value(functional.pad(v.grid, (0, width, 0, h, 0, t)), v.token, v.kinds) if v.grid.shape[2:] == size else v
        for v in inputs
    )
    lines = _Lines(layer, x, dict(zip(layer.outside, others, strict=True)), w, apply)
    y = lines.value(layer.branches["proj"])
    if (t, h, width) != (0, 0, 0):
        y = Value(y.grid[:, :, : size[0], : size[1], : size[2]], y.token, y.kinds)
    return y


class _Lines:
    """The values of the lines, each computed once."""

    def __init__(
        self, layer: Attended, x: Value, outside: dict[int, Value], w: dict[str, Tensor], apply: Apply
    ) -> None:
        self.layer, self.x, self.outside, self.w, self.apply = layer, x, outside, w, apply
        self.known: dict[int, Value] = {}

    def value(self, number: int) -> Value:
        if number not in self.known:
            made = self.layer.made[number]
            self.known[number] = found = self._made(made)
            assert tuple(found.grid.shape[1:]) == tuple(map(int, made.shape.shape)), made.how
            assert (found.scope, found.kinds) == tuple(made.shape.tokens), made.how
        return self.known[number]

    def branch(self, letter: str) -> Value:
        return self.value(self.layer.branches.get(letter, self.layer.x))

    def _made(self, made: Made) -> Value:
        if made.how == "x":
            return self.x
        if made.how == "outside":
            return self.outside[made.inputs[0]]
        if made.how == "result":
            return self._result()
        inputs = [self.value(i) for i in made.inputs]
        match made.how:
            case "split":  # heads become clips
                return inputs[0].mapped(lambda x: x.unflatten(1, (made.heads, -1)).flatten(0, 1))
            case "join":
                heads = self.layer.made[made.inputs[0]].heads
                return inputs[0].mapped(lambda x: x.unflatten(0, (-1, heads)).flatten(1, 2))
            case "grid":
                return Value(inputs[0].grid)
            case "beside":
                return Value(inputs[0].grid, inputs[1].token, inputs[1].kinds)
            case _:
                return self.apply(made.layer, inputs, self._tensors(made))

    def _tensors(self, made: Made) -> dict[str, Tensor]:
        if made.tensors is None:
            return {}
        name, part, parts = made.tensors
        own = {k.removeprefix(f"{name}."): v for k, v in self.w.items() if k.rpartition(".")[0] == name}
        return {k: v.chunk(parts)[part] if v.ndim else v for k, v in own.items()}

    def _result(self) -> Value:
        q, k, v = (self.branch(n) for n in "qkv")
        of_token = self._of_token() if "token_q" in self.layer.branches else None
        if "frame" not in (q.scope, k.scope):
            return _between(self.layer, q, k, v, of_token, self.w)
        if self.layer.settings.over == ("time",):
            return self._across(q, k, v)
        frames: list[Value] = []
        for t in range(q.grid.shape[2]):  # each is a clip
            frame = [
                Value(y.grid[:, :, [t]], None if y.token is None else y.token[:, :, t], y.kinds) for y in (q, k, v)
            ]
            frames.append(_between(self.layer, frame[0], frame[1], frame[2], None, self.w))
        tokens = [y.token for y in frames if y.token is not None]
        return Value(torch.cat([y.grid for y in frames], 2), torch.stack(tokens, 2) if tokens else None, q.kinds)

    def _across(self, q: Value, k: Value, v: Value) -> Value:
        """Each position, and each token, looks at those at the same place of all frames."""
        settings = self.layer.settings
        n = _number(q)
        places = [torch.cat([y.token, y.grid.flatten(3)], 3) for y in (q, k, v) if y.token is not None]
        heads = (settings.heads, settings.heads_of_keys, settings.heads_of_keys)
        query, *others = (y.unflatten(1, (h, -1)) for y, h in zip(places, heads, strict=True))
        key, value = (_repeated(y, settings) for y in others)
        scores = torch.einsum("bnctm,bncsm->bnmts", query, key)
        scores = scores / query.shape[2] ** 0.5 if settings.scale else scores
        y = torch.einsum("bnmts,bncsm->bnctm", scores.softmax(-1), value).flatten(1, 2)
        return Value(y[..., n:].unflatten(3, q.grid.shape[3:]), y[..., :n], q.kinds)

    def _of_token(self) -> Tensor:
        """The tokens look once at all positions, with queries, keys and values of their own."""
        q, k, v = (self.branch(f"token_{n}") for n in "qkv")
        settings = self.layer.settings
        rows = [
            _rows(y, n, 1) for y, n in ((q, settings.heads), (k, settings.heads_of_keys), (v, settings.heads_of_keys))
        ]
        keys, values = (_repeated(y, settings) for y in rows[1:])
        query = rows[0][:, :, -sum(n for _, n in q.kinds) :]
        seen = torch.ones(1, keys.shape[2], dtype=torch.bool)
        return (_weights(settings, query, keys, torch.zeros(1), seen, self.w) @ values).transpose(2, 3).flatten(1, 2)


def _rows(x: Value, heads: int, copies: int) -> Tensor:
    """The positions, then all tokens for each group: (B, heads, N, d)."""
    y = x.grid.flatten(2)
    if x.token is not None:
        y = torch.cat([y, *[x.token] * copies], 2)
    return y.unflatten(1, (heads, -1)).transpose(2, 3)


def _number(x: Value) -> int:
    return sum(number for _, number in x.kinds)


def _repeated(x: Tensor, settings: Settings) -> Tensor:
    """Keys or values of few heads, each for as many heads of queries."""
    return x.repeat_interleave(settings.heads // settings.heads_of_keys, 1)


def _between(layer: Attended, q: Value, k: Value, v: Value, of_token: Tensor | None, w: dict[str, Tensor]) -> Value:
    """What all queries gather, for each part of the heads along its axes."""
    settings = layer.settings
    number = len(settings.over)
    grids = [torch.zeros(0)] * 0
    tokens = [torch.zeros(0)] * 0
    for index, over in enumerate(settings.over):
        axes = settings.axes(over, *(layer.made[layer.branches.get(n, layer.x)].shape for n in "qk"))
        groups = prod(a.groups for a in axes)
        rows = _rows(q, settings.heads, groups).chunk(number, 1)[index]
        keys, values = (
            _repeated(_rows(x, settings.heads_of_keys, groups), settings).chunk(number, 1)[index] for x in (k, v)
        )  # fmt: skip
        positions = q.grid[0, 0].numel()
        own = {n: x.chunk(number)[index] if n == "logit_scale" else x for n, x in w.items()}  # of these heads
        y = _gathered(layer, axes, rows, keys, values, (_number(q), _number(k)), own)
        y = y.transpose(2, 3).flatten(1, 2)
        grids.append(y[..., :positions])
        if q.token is not None:
            tokens.append(y[..., positions:].unflatten(-1, (groups, -1)).mean(-2))
    token = torch.cat(tokens, 1) if tokens else None
    grid = torch.cat(grids, 1).unflatten(2, q.grid.shape[2:])
    return Value(grid, token if of_token is None else of_token, q.kinds)


def _gathered(
    layer: Attended, axes: list[Axis], q: Tensor, k: Tensor, v: Tensor, tokens: tuple[int, int], w: dict[str, Tensor]
) -> Tensor:
    settings = layer.settings
    grids = [[a.queries for a in axes], [a.keys for a in axes]]
    places = [torch.cartesian_prod(*map(torch.arange, grid)).unbind(1) for grid in grids]
    groups = [_groups(axes, p, grid) for p, grid in zip(places, grids, strict=True)]
    geometry = _Geometry(settings, axes, grids, places)
    seen = _pairs(torch.eq, *groups) & geometry.seen()
    moved = geometry.moved_apart()
    bias = sum(
        (_bias(b, geometry, q[:, :, : seen.shape[0]], seen, w) for b in layer.biases), torch.zeros(1, 1, *seen.shape)
    )
    if settings.score == "softmax" and settings.scale and not any(tokens):
        bias = bias - 100 * moved
    else:
        seen = seen & (moved == 0)
    seen, bias = _with_tokens(seen, bias, groups, prod(a.groups for a in axes), tokens)
    return _weights(settings, q, k, bias, seen, w) @ v


def _groups(axes: list[Axis], places: Any, grid: list[int]) -> Tensor:
    group = torch.zeros_like(places[0])
    for axis, p, n in zip(axes, places, grid, strict=True):
        group = group * axis.groups + axis.group(p, n)
    return group


def _pairs(function: Callable[[Tensor, Tensor], Tensor], q: Tensor, k: Tensor) -> Tensor:
    """A function of each query's number and each key's: (queries, keys)."""
    return function(q[:, None], k[None, :])


def _with_tokens(
    seen: Tensor, bias: Tensor, groups: list[Tensor], number: int, tokens: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Tokens of a group see its positions and each other, and they see them; tokens have no distance."""
    queries, keys = (torch.arange(number).repeat_interleave(n) for n in tokens)  # the groups of tokens
    q_groups, k_groups = torch.cat([groups[0], queries]), torch.cat([groups[1], keys])
    whole = _pairs(torch.eq, q_groups, k_groups)
    whole[: seen.shape[0], : seen.shape[1]] = seen
    return whole, functional.pad(bias, (0, len(keys), 0, len(queries)))


def _weights(settings: Settings, q: Tensor, k: Tensor, bias: Tensor, seen: Tensor, w: dict[str, Tensor]) -> Tensor:
    """The parts that queries take of the values of keys: (B, heads, queries, keys)."""
    if settings.score == "concatenation":
        a, b = w["pair.weight"][0].chunk(2)
        score = ((q @ a)[..., :, None] + (k @ b)[..., None, :]).relu()
    elif settings.score == "cosine":
        factor = w["logit_scale"].reshape(-1, 1, 1).clamp(max=log(100)).exp()
        score = functional.normalize(q, dim=-1) @ functional.normalize(k, dim=-1).transpose(2, 3) * factor
    else:
        score = q @ k.transpose(2, 3)
    if settings.score in ("dot_product", "concatenation"):
        return score.masked_fill(~seen, 0.0) / seen.sum(1)[:, None]
    if settings.score == "softmax" and settings.scale:
        score = score / q.shape[-1] ** 0.5
    if settings.cap:
        score = (score / settings.cap).tanh() * settings.cap
    return (score + bias).masked_fill(~seen, float("-inf")).softmax(-1)


class _Geometry:
    """Where queries and keys are, axis by axis."""

    def __init__(self, settings: Settings, axes: list[Axis], grids: list[list[int]], places: list[Any]) -> None:
        self.settings, self.axes = settings, axes
        self.ends = list(zip(axes, places[0], places[1], strict=True))
        self.grids, self.places = grids, places

    def seen(self) -> Tensor:
        """Which keys a band and the order of frames let a query see."""
        first = torch.ones(len(self.places[0][0]), len(self.places[1][0]), dtype=torch.bool)
        for index, (axis, p, other) in enumerate(self.ends):
            distance = _pairs(torch.sub, axis.at(p, axis.queries), axis.at(other, axis.keys))
            dilation = int(self.settings.dilation[index])
            if self.settings.band and axis.is_looked_along:
                first &= (distance.abs() <= self.settings.band // 2 * dilation) & (distance % dilation == 0)
            if self.settings.causal and axis.name == "t":
                first &= distance >= 0
        return first

    def moved_apart(self) -> Tensor:
        """The number of axes on which a query or its key, but not both, has come round the border."""
        found = torch.zeros(len(self.places[0][0]), len(self.places[1][0]), dtype=torch.long)
        for axis, p, other in self.ends:
            found += _pairs(torch.ne, axis.is_moved(p, axis.queries), axis.is_moved(other, axis.keys))
        return found


# --- biases ----------------------------------------------------------------------------------------------------------


def _bias(bias: Bias, geometry: _Geometry, queries: Tensor, seen: Tensor, w: dict[str, Tensor]) -> Tensor:
    """A number for each head, query and key that see each other."""
    if bias.kind == "table":
        of = _rows_of_band if geometry.settings.band else _rows_of_table
        rows = of(bias, geometry)
        return w[bias.label][rows.where(seen, 0)].permute(2, 0, 1)[None]
    along = [end for end in geometry.ends if end[0].is_looked_along]
    distances = [_pairs(torch.sub, _unit(a, p, a.queries), _unit(a, other, a.keys)) for a, p, other in along]
    if bias.kind == "alibi":
        return reference_biases.alibi(queries.shape[1], distances)[None]
    if bias.kind == "continuous":
        made_for = [n for n, axis in zip(bias.layer.made_for, geometry.axes, strict=True) if axis.is_looked_along]
        windows = [n or axis.on_finest(axis.window) for n, (axis, *_) in zip(made_for, along, strict=True)]
        tensors = reference_biases.named(w, bias.label)
        return reference_biases.continuous(bias.layer, distances, windows, tensors)[None]
    assert bias.kind == "decomposed", bias.kind
    total = queries.new_zeros(*queries.shape[:3], seen.shape[1])
    for axis, p, other in geometry.ends:
        if axis.is_looked_along:
            q, k = axis.extent(axis.queries), axis.extent(axis.keys)
            rows = _decomposed_rows(axis.inside(p, axis.queries), axis.inside(other, axis.keys), q, k)
            table = _stretched(w[f"{bias.label}.{axis.name}"], 2 * max(q, k) - 1)
            total = total + torch.einsum("bnid,ijd->bnij", queries, table[rows.where(seen, 0)])
    return total


def _rows_of_table(bias: Bias, geometry: _Geometry) -> Tensor:
    """Distances on all axes, the last one running fastest, in the window that the spec names."""
    row = torch.zeros(len(geometry.places[0][0]), len(geometry.places[1][0]), dtype=torch.long)
    prefixes = [_in_the_larger(geometry, i) for i in (0, 1)] if bias.layer.prefix else None
    for index, (axis, p, other) in enumerate(geometry.ends):
        most = axis.largest
        if prefixes is None:
            distance = _pairs(torch.sub, _unit(axis, p, axis.queries), _unit(axis, other, axis.keys))
        else:
            distance = _pairs(torch.sub, prefixes[0][index], prefixes[1][index])
        row = row * (2 * most - 1) + distance + most - 1
    return row


def _unit(axis: Axis, p: Tensor, n: int) -> Tensor:
    """The places in a window, in positions of the finest grid."""
    return axis.inside(p, n) * axis.step(n)


def _in_the_larger(geometry: _Geometry, end: int) -> list[Tensor]:
    """The positions that have in a whole window the numbers that these have in their smaller windows."""
    axes, places, grid = geometry.axes, geometry.places[end], geometry.grids[end]
    number = torch.zeros_like(places[0])
    for axis, p, n in zip(axes, places, grid, strict=True):
        number = number * axis.extent(n) + axis.inside(p, n)
    found: list[Tensor] = []
    for axis in reversed(axes):
        found = [number % axis.largest, *found]
        number = number // axis.largest
    return found


def _rows_of_band(bias: Bias, geometry: _Geometry) -> Tensor:
    """From `band / 2` positions behind to as many before."""
    del bias
    for index, (axis, p, other) in enumerate(geometry.ends):
        if axis.is_looked_along:
            return _pairs(torch.sub, p, other) // int(geometry.settings.dilation[index]) + geometry.settings.band // 2
    raise AssertionError


def _stretched(table: Tensor, rows: int) -> Tensor:
    """A table of another grid: each row is the mean of two of its rows, as near as their middles are."""
    if len(table) == rows:
        return table
    middle = ((torch.arange(rows, dtype=torch.float64) + 0.5) * len(table) / rows - 0.5).clamp(min=0)
    before = middle.long()
    after = (before + 1).clamp(max=len(table) - 1)
    part = (middle - before)[:, None]
    return (1 - part) * table[before] + part * table[after]


def _decomposed_rows(i: Tensor, j: Tensor, q: int, k: int) -> Tensor:
    """⌊max(k/q, 1)·i - max(q/k, 1)·j + (k - 1)·max(q/k, 1)⌋, rounded as PySlowFast does, whose weights have learned it.

    In exact numbers some of these are whole, and in float32 a little less: with 13 queries and 6 keys, for one.
    """
    one, other = max(k / q, 1.0), max(q / k, 1.0)
    return (_pairs(torch.sub, i.float() * one, j.float() * other) + (k - 1) * other).long()
