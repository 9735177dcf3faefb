"""A network computed by its definition: node after node of the graph, each layer written out once more, in float64.

Shares nothing with the generated code but the state dict, so it tells whether the code does what the graph says.
Attention looks at all pairs of positions, and masks those that do not see each other: nothing is cut, rolled or folded.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from definition.lines import Attended
from reference_lines import attended
from reference_value import Value
from torch.nn import functional

from archdsl.ir.regions import Featured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from definition import Definition
    from torch import Tensor

    from archdsl import Architecture

ATTENDED = {"space_time": "thw", "space": "hw", "time": "t", "height": "h", "width": "w"}


def compute(
    arch: Architecture, state: dict[str, Tensor], clips: dict[str, Tensor], definition: Definition | None = None
) -> tuple[Tensor, dict[int, Value]]:
    """The output in evaluation as modules write it, and the value of every node.

    Attention in lines is computed from the text where the definition of the program is given.

    Numbers of frames (inputs of the kind `index`, (T,) or (B, T)) can be left out, and are then 0, 1, 2, …
    """
    network = arch._analysis.network
    values: dict[int, Value] = {}
    for name, number in network.inputs.items():
        values[number] = Value(clips[name] if name in clips else torch.arange(int(network.node(number).shape.t)))
    for node in network.all_nodes():
        if node.inputs:
            weights = {k.removeprefix(f"{node.name}."): v for k, v in state.items() if k.startswith(f"{node.name}.")}
            inputs = [values[i] for i in node.inputs]
            layer: Any = node.layer if definition is None else definition.applied[node.id].layer
            is_text = isinstance(layer, Attended)
            values[node.id] = found = (
                attended(layer, inputs, weights, apply_layer) if is_text else apply_layer(layer, inputs, weights)
            )
            assert tuple(found.grid.shape[1:]) == node.shape.shape, node.name
            assert (found.scope, found.kinds) == tuple(node.shape.tokens), node.name
    output = values[network.output].written
    output = output.flatten(1) if network.node(network.output).shape.is_vector else output
    return output, values


def apply_layer(layer: Any, values: list[Value], w: dict[str, Tensor]) -> Value:
    """One layer: some know grids only, some do the same to a class token as to a position, some tell them apart."""
    first = values[0]
    if layer.kind in GRIDS:
        return Value(GRIDS[layer.kind](layer, first.grid, w))
    if layer.kind in EVERYWHERE:
        return first.mapped(lambda x: EVERYWHERE[layer.kind](layer, x, w))
    if layer.kind in BESIDE:
        return BESIDE[layer.kind](layer, first, w)
    if layer.kind in JOINED:
        return JOINED[layer.kind](layer, *values)
    if layer.kind == "position":
        return _position(layer, first, w, values[1].grid if len(values) > 1 else None)
    kinds = next((x.kinds for x in values if x.kinds), ())
    if layer.kind == "concat":
        tokens = [x.token for x in values if x.token is not None]
        return Value(torch.cat([x.grid for x in values], 1), torch.cat(tokens, 1) if tokens else None, kinds)
    if layer.kind == "multiply":
        tokens = [x.token for x in values if x.token is not None]  # a grid multiplies no token
        return Value(_multiplied([x.grid for x in values]), _multiplied(tokens) if tokens else None, kinds)
    assert layer.kind in ("add", "mean"), layer.kind
    number = len(values) if layer.kind == "mean" else 1
    tokens = [x.token for x in values if x.token is not None]  # a grid adds nothing to a token
    return Value(sum(x.grid for x in values) / number, sum(tokens) / number if tokens else None, kinds)


def _multiplied(values: list[Tensor]) -> Tensor:
    return torch.stack(values).prod(0)


# --- grids -----------------------------------------------------------------------------------------------------------


def _conv(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:
    y = _padded(layer, x, 0.0, even=True)
    return functional.conv3d(y, w["weight"], w.get("bias"), layer.stride, groups=layer.groups)


def _bn(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:
    shape = (1, -1, 1, 1, 1)
    scale = w["weight"] / torch.sqrt(w["running_var"] + layer.eps)
    return (x - w["running_mean"].view(shape)) * scale.view(shape) + w["bias"].view(shape)


def _every(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    frames = x.shape[2]
    kept = frames // layer.n
    spread = torch.linspace(0, frames - 1, kept, dtype=torch.float64).long()
    return x[:, :, spread if layer.rule == "spread" else torch.arange(0, frames, layer.n)]


def _time_to_channel(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    return torch.cat([x[:, :, i :: layer.n] for i in range(layer.n)], 1)


def _space_to_channel(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    """Column by column: of the channels of one position, the rows of the first column come first."""
    n = layer.n
    x = functional.pad(x, (0, -x.shape[4] % n, 0, -x.shape[3] % n))
    return torch.cat([x[:, :, :, i::n, j::n] for j in range(n) for i in range(n)], 1)


def _avgpool(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    kernel = [k or n for k, n in zip(layer.kernel, x.shape[2:], strict=True)]
    half = [0 if layer.padding == "valid" or k % 2 == 0 else k // 2 for k in layer.kernel]
    padded = functional.pad(x, [n for n in reversed(half) for _ in range(2)])
    return _windows(padded, kernel, layer.stride).mean((-1, -2, -3))


GRIDS: dict[str, Callable[[Any, Tensor, dict[str, Tensor]], Tensor]] = {
    "conv": _conv,
    "bn": _bn,
    "every": _every,
    "time_to_channel": _time_to_channel,
    "space_to_channel": _space_to_channel,
    "avgpool": _avgpool,
}


def _padded(layer: Any, x: Tensor, value: float, *, even: bool) -> Tensor:
    """The grid with what stands around it. TensorFlow's `same` asks for ⌈n / s⌉ windows, the odd position behind."""
    pads: list[int] = []
    for n, k, s in zip(x.shape[2:], layer.kernel, layer.stride, strict=True):
        if layer.padding == "same":
            total = max((-(-n // s) - 1) * s + k - n, 0)
            pads = [total // 2, total - total // 2, *pads]
        else:
            half = k // 2 if layer.padding == "half" and (even or k % 2) else 0
            pads = [half, half, *pads]
    return functional.pad(x, pads, value=value)


def _windows(x: Tensor, kernel: Any, stride: Any) -> Tensor:
    """The positions under each place of a moving window: (B, C, T, H, W) → (B, C, t, h, w, *kernel)."""
    for axis, (k, s) in enumerate(zip(kernel, stride, strict=True), start=2):
        x = x.unfold(axis, k, s)
    return x


# --- the same at each position and for tokens ------------------------------------------------------------------------


def _along_channels(vector: Tensor, x: Tensor) -> Tensor:
    return vector.view(1, -1, *[1] * (x.ndim - 2))


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y = torch.einsum("bc...,oc->bo...", x, weight)
    return y if bias is None else y + _along_channels(bias, y)


def _normalised(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(1, keepdim=True)
    scaled = centred / torch.sqrt(centred.square().mean(1, keepdim=True) + eps)
    return scaled * _along_channels(weight, x) + _along_channels(bias, x)


def _gelu(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    if layer.tanh:
        return x / 2 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
    return x / 2 * (1 + torch.erf(x / 2**0.5))


EVERYWHERE: dict[str, Callable[[Any, Tensor, dict[str, Tensor]], Tensor]] = {
    "linear": lambda _, x, w: _product(x, w["weight"], w.get("bias")),
    "layernorm": lambda layer, x, w: _normalised(x, w["weight"], w["bias"], layer.eps),
    "rmsnorm": lambda layer, x, w: x / (x.square().mean(1, True) + layer.eps).sqrt() * _along_channels(w["weight"], x),
    "l2norm": lambda _, x, __: x / torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp(min=1e-12),
    "relu": lambda _, x, __: x.clamp(min=0),
    "sigmoid": lambda _, x, __: 1 / (1 + torch.exp(-x)),
    "gelu": _gelu,
    "dropout": lambda _, x, __: x,
    "drop_path": lambda _, x, __: x,
}


# --- tokens and positions --------------------------------------------------------------------------------------------


def _maxpool(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:  # noqa: ARG001
    padded = _padded(layer, x.grid, float("-inf"), even=False)
    return Value(_windows(padded, layer.kernel, layer.stride).amax((-1, -2, -3)), x.token, x.kinds)


def _tokens(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:
    """Learned tokens, behind others that are there; a class token is one called `token`."""
    batch, channels, frames = x.grid.shape[:3]
    rows = w["weight"].view(-1, channels).T
    new = rows.expand(batch, *rows.shape)
    if layer.scope == "frame":
        new = torch.stack([new] * frames, 2)
    return x.beside({**x.by_name, getattr(layer, "name", "token"): new})


def _select(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:  # noqa: ARG001
    """The grid alone, or tokens as one: frames × 1 × tokens."""
    if layer.part == "grid":
        return Value(x.grid)
    tokens = x.by_name[layer.part]
    return Value((tokens if tokens.ndim == 4 else tokens[:, :, None])[..., None, :])


def _without(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:  # noqa: ARG001
    return x.beside({name: tokens for name, tokens in x.by_name.items() if name != layer.name})


def _beside(layer: Any, x: Value, value: Value) -> Value:
    """All positions of a value as tokens, or those of each frame."""
    scope = layer.scope if layer.scope != "same" else x.scope or "clip"
    return x.beside({**x.by_name, layer.name: value.grid.flatten(2 if scope == "clip" else 3)})


def _on_grid(layer: Any, x: Value, grid: Value) -> Value:  # noqa: ARG001
    return Value(grid.grid, x.token, x.kinds)


JOINED: dict[str, Callable[..., Value]] = {"beside": _beside, "grid": _on_grid}


def _token_type(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:  # noqa: ARG001
    positions, token = w["weight"]
    assert x.token is not None
    return Value(x.grid + _along_channels(positions, x.grid), x.token + _along_channels(token, x.token), x.kinds)


def _position(layer: Any, x: Value, w: dict[str, Tensor], index: Tensor | None) -> Value:
    """The vectors of the positions, (T, H, W, C) with 1 where they are shared, and those of the tokens (n, C)."""
    t, h, width = x.grid.shape[2:]
    own = x.token is not None and layer.token and layer.vectors == "learned"
    number = sum(n for _, n in x.kinds)
    tokens: Tensor | None = None
    if layer.apart:
        added = w["time"].view(t, 1, 1, -1) + w["space"].view(1, h, width, -1)
        tokens = w["token"] if own else None
    elif layer.frames:
        assert index is not None
        table = _sinusoid(layer.table, x.grid.shape[1]) if layer.vectors == "sinusoid" else w["weight"]
        frames = layer.table - 2 if own else layer.table
        added = table[index.long() % frames][..., None, None, :]  # index (T,) or (B, T)
        tokens = table[-2:-1] if own else None
    else:
        rows = _sinusoid(t, x.grid.shape[1]) if layer.vectors == "sinusoid" else w["weight"]
        tokens, rows = (rows[:number], rows[number:]) if own else (None, rows)
        sizes = {"space_time": (t, h, width), "space": (1, h, width), "time": (t, 1, 1)}[layer.over]
        added = rows.view(*sizes, -1)
    grid = x.grid + added.movedim(-1, -4)
    if tokens is None or x.token is None:
        return Value(grid, x.token, x.kinds)
    return Value(grid, x.token + tokens.T.view(1, -1, *[1] * (x.token.ndim - 3), number), x.kinds)


def _latents(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:  # noqa: ARG001
    return Value(w["weight"].T[None, :, None, None].expand(len(x.grid), -1, -1, -1, -1))


def _rotary(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:  # noqa: ARG001
    """Channel by channel: each pair of a part turns by the positions on its axis (Su et al. 2021, equation 34)."""
    axes = {"space_time": (2, 3, 4), "space": (3, 4), "time": (2,)}[layer.over]
    part = x.grid.shape[1] // len(axes) // 2 * 2
    channels = list(x.grid.unbind(1))
    for number, axis in enumerate(axes):
        positions = torch.arange(x.grid.shape[axis], dtype=torch.float64).view(-1, *[1] * (4 - axis))
        for c in range(0, part, 2):
            one, other = channels[number * part + c : number * part + c + 2]
            orders = (c // 2, c // 2) if layer.frequencies == "paired" else (c % (part // 2), (c + 1) % (part // 2))
            a, b = (positions / layer.base ** (2 * i / part) for i in orders)
            channels[number * part + c] = one * a.cos() - other * a.sin()
            channels[number * part + c + 1] = other * b.cos() + one * b.sin()
    return Value(torch.stack(channels, 1), x.token, x.kinds)


def _sinusoid(rows: int, channels: int) -> Tensor:
    """Vaswani et al. 2017, section 3.5."""
    table = torch.empty(rows, channels, dtype=torch.float64)
    for row in range(rows):
        for i in range(0, channels, 2):
            angle = torch.tensor(row / 10_000 ** (i / channels), dtype=torch.float64)
            table[row, i], table[row, i + 1] = angle.sin(), angle.cos()
    return table


# --- attention -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Axis:
    """Windows along an axis of n positions that lie `dilation` apart."""

    name: str
    size: int
    attended: bool
    asked: int  # the window as the spec has it; 0: all
    dilation: int
    moved: int

    @property
    def whole(self) -> int:
        return -(-self.size // self.dilation) if self.attended else 1

    @property
    def is_cut(self) -> bool:
        return self.attended and 0 < self.asked < self.whole

    @property
    def window(self) -> int:
        """A window that covers the axis becomes the axis."""
        return self.asked if self.is_cut else self.whole

    @property
    def shift(self) -> int:
        return self.moved if self.is_cut else 0

    @property
    def padded(self) -> int:
        """The positions that whole windows have."""
        covered = self.window * self.dilation
        return -(-self.size // covered) * covered

    @property
    def groups(self) -> int:
        return self.padded // self.window

    def group(self, p: Tensor) -> Tensor:
        """The groups of positions."""
        if not self.attended:
            return p
        start = (p - self.shift) % self.padded
        return start // (self.window * self.dilation) * self.dilation + start % self.dilation

    def inside(self, p: Tensor) -> Tensor:
        """The places of positions in their groups."""
        start = (p - self.shift) % self.padded
        return start % (self.window * self.dilation) // self.dilation


@dataclass(frozen=True)
class _Places:
    """The positions of a grid that may be pooled: the group of each, and where it is in the group."""

    at: list[Tensor]  # on each axis, in positions of the unpooled grid
    group: Tensor
    ordinal: list[Tensor]  # on each axis, counted in the group
    extent: list[int]  # how many a group has on each axis

    @classmethod
    def of(cls, axes: list[_Axis], grid: Any, steps: list[int]) -> _Places:
        """Windows are cut out of a pooled grid where the unpooled ones lie; an axis that is not cut is taken whole."""
        places = torch.cartesian_prod(*map(torch.arange, grid)).unbind(1)
        found = cls([p * s for p, s in zip(places, steps, strict=True)], torch.zeros_like(places[0]), [], [])
        group = found.group
        for axis, n, s, place, at in zip(axes, grid, steps, places, found.at, strict=True):
            pooled_whole = axis.attended and not axis.is_cut and (s != 1 or n != axis.padded)
            group = group * axis.groups + (0 if pooled_whole else axis.group(at))
            found.ordinal.append(place if pooled_whole else axis.inside(at) // s)
            found.extent.append(n if pooled_whole else axis.window // s)
        return cls(found.at, group, found.ordinal, found.extent)


def _attention(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:
    """Every position with every key, those that it does not look at taken out by a mask."""
    if x.scope == "frame":
        return _frame_by_frame(layer, x, w)
    axes = _axes(layer, layer.over, x.grid.shape[2:])
    behind = [a.padded - a.size for a in axes]
    size = x.grid.shape[2:]
    x = Value(functional.pad(x.grid, (0, behind[2], 0, behind[1], 0, behind[0])), x.token, x.kinds)
    q, k, v = _queries_keys_values(layer, x, w)
    halves = [layer.over] if layer.half_over == "same" else [layer.over, layer.half_over]
    found: list[Value] = []
    for number, over in enumerate(halves):
        part = [y.mapped(lambda y, i=number: y.chunk(len(halves), 1)[i]) for y in (q, k, v)]
        found.append(_looked(layer, _axes(layer, over, size), *part, layer.heads // len(halves), w))
    if layer.token_projections:
        own = [*_split(_named(w, "token_q", x), 1), *_split(_named(w, "token_kv", x), 2)]
        found[0] = Value(found[0].grid, _looked(layer, axes, *own, layer.heads, w).token, x.kinds)
    tokens = [y.token for y in found if y.token is not None]
    y = _named(w, "proj", Value(torch.cat([y.grid for y in found], 1), torch.cat(tokens, 1) if tokens else None))
    return Value(y.grid[:, :, : size[0], : size[1], : size[2]], y.token, x.kinds)


def _frame_by_frame(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:
    """With tokens for each, every frame is a clip."""
    assert x.token is not None
    frames = zip(x.grid.split(1, 2), x.token.unbind(2), strict=True)
    found = [_attention(layer, Value(grid, token, x.kinds), w) for grid, token in frames]
    return Value(torch.cat([y.grid for y in found], 2), torch.stack([y.token for y in found], 2), x.kinds)


def _axes(layer: Any, over: str, size: Any) -> list[_Axis]:
    return [
        _Axis(name, int(n), name in ATTENDED[over], int(k), int(d) if name in ATTENDED[over] else 1, int(s))
        for name, n, k, d, s in zip("thw", size, layer.window, layer.dilation, layer.shift, strict=True)
    ]


def _named(w: dict[str, Tensor], name: str, x: Value) -> Value:
    return x.mapped(lambda x: _product(x, w[f"{name}.weight"], w.get(f"{name}.bias")))


def _split(x: Value, parts: int) -> list[Value]:
    return [x.mapped(lambda x, i=i: x.chunk(parts, 1)[i]) for i in range(parts)]


def _queries_keys_values(layer: Any, x: Value, w: dict[str, Tensor]) -> list[Value]:
    """The queries, keys and values of each position of a pooled grid; a filter of keys stands before that of values."""

    def pooled_keys(y: Value, name: str = "") -> Value:
        both = w.get("kv_pool.conv.weight")
        filters = None if both is None else both.chunk(2)["kv".index(name)]
        return _normed(layer, _pooled(layer, y, layer.kv_pool, _key_steps(layer), filters), w, f"{name}_norm")

    source = pooled_keys(x) if layer.kv_pool_first else x
    if layer.score == "gaussian":
        q, k, v = x, pooled_keys(x), _named(w, "v", source)
        return [q, k, v if layer.kv_pool_first else pooled_keys(v)]
    if "qkv.weight" in w:
        q, k, v = _split(_named(w, "qkv", x), 3)
    else:
        q, (k, v) = _named(w, "q", x), _split(_named(w, "kv", source), 2)
    if not layer.kv_pool_first:
        k, v = pooled_keys(k, "k"), pooled_keys(v, "v")
    q = _pooled(layer, q, layer.q_pool, _query_steps(layer), w.get("q_pool.conv.weight"))
    return [_normed(layer, q, w, "q_norm"), k, v]


def _query_steps(layer: Any) -> list[int]:
    return _steps(layer.q_pool, layer.q_stride)


def _key_steps(layer: Any) -> list[int]:
    return _steps(layer.kv_pool, layer.kv_stride)


def _steps(kernel: Any, stride: Any) -> list[int]:
    return [int(s or k) for k, s in zip(kernel, stride, strict=True)]


def _pooled(layer: Any, x: Value, kernel: Any, steps: list[int], filters: Tensor | None) -> Value:
    """The grid pooled; tokens pass."""
    if tuple(kernel) == (1, 1, 1) and steps == [1, 1, 1]:
        return x
    sides = [0 if k == s or k % 2 == 0 else k // 2 for k, s in zip(kernel, steps, strict=True)]
    around = [n for side in reversed(sides) for n in (side, side)]
    seen = _windows(functional.pad(x.grid, around, value=float("-inf") if layer.pool == "max" else 0.0), kernel, steps)
    if layer.pool == "max":
        return Value(seen.amax((-1, -2, -3)), x.token, x.kinds)
    if layer.pool == "avg":
        return Value(seen.mean((-1, -2, -3)), x.token, x.kinds)
    assert filters is not None
    by_head = seen.unflatten(1, (layer.heads, -1))
    return Value(torch.einsum("bndthwijk,dijk->bndthw", by_head, filters[:, 0]).flatten(1, 2), x.token, x.kinds)


def _normed(layer: Any, x: Value, w: dict[str, Tensor], name: str) -> Value:
    """Each head normalised, at each position and of the tokens, if what stands before is pooled."""
    if f"{name}.weight" not in w:
        return x
    scale, shift = w[f"{name}.weight"], w[f"{name}.bias"]
    return x.mapped(
        lambda x: torch.cat([_normalised(part, scale, shift, layer.eps) for part in x.chunk(layer.heads, 1)], 1)
    )


def _looked(layer: Any, axes: list[_Axis], q: Value, k: Value, v: Value, heads: int, w: dict[str, Tensor]) -> Value:
    """Values gathered by each position, and by the tokens in each group; the results of a token are averaged."""
    q_places = _Places.of(axes, q.grid.shape[2:], _query_steps(layer))
    k_places = _Places.of(axes, k.grid.shape[2:], _key_steps(layer))
    groups = prod(a.groups for a in axes)
    seen = _seen(layer, axes, q_places, k_places)
    positions = q.grid[0, 0].numel()

    def rows(x: Value) -> Tensor:
        """Positions, then all tokens for each group: (B, heads, N, d)."""
        y = x.grid.flatten(2)
        if x.token is not None:
            y = torch.cat([y, *[x.token] * groups], 2)
        return y.unflatten(1, (heads, -1)).transpose(-1, -2)

    bias = _distances(layer, axes, q_places, k_places, seen, rows(q)[:, :, :positions], w)
    apart = _apart(axes, q_places, k_places)
    if layer.score == "embedded_gaussian" and layer.scale and q.token is None:
        bias = bias - 100 * apart
    else:
        seen = seen & (apart == 0)
    if q.token is not None:
        number = q.token.shape[-1]
        seen = _with_tokens(seen, q_places.group, k_places.group, torch.arange(groups).repeat_interleave(number))
        bias = functional.pad(bias, (0, groups * number, 0, groups * number))
    weights = _weights(layer, rows(q), rows(k), bias, seen, w)
    y = (weights @ rows(v)).transpose(-1, -2).flatten(1, 2)
    y_grid = y[..., :positions]
    if layer.add_query:
        y_grid = y_grid + q.grid.flatten(2)
    token = None if q.token is None else y[..., positions:].unflatten(-1, (groups, -1)).mean(-2)
    return Value(y_grid.unflatten(2, q.grid.shape[2:]), token, q.kinds)


def _pairs(function: Callable[[Tensor, Tensor], Tensor], q: Tensor, k: Tensor) -> Tensor:
    """A function of each query's number and each key's: (queries, keys)."""
    return function(q[:, None], k[None, :])


def _seen(layer: Any, axes: list[_Axis], q: _Places, k: _Places) -> Tensor:
    """Mask of the keys that each query attends to: those of its group."""
    seen = _pairs(torch.eq, q.group, k.group)
    for axis, p, other in zip(axes, q.at, k.at, strict=True):
        if layer.band and axis.attended:
            distance = _pairs(torch.sub, p, other)
            seen = seen & (distance.abs() <= layer.band // 2 * axis.dilation) & (distance % axis.dilation == 0)
    return seen


def _apart(axes: list[_Axis], q: _Places, k: _Places) -> Tensor:
    """Count the axes on which a query or its key, but not both, has come round the border."""
    pairs = zip(axes, q.at, k.at, strict=True)
    return sum(
        (_pairs(torch.ne, p < axis.shift, other < axis.shift).int() for axis, p, other in pairs), torch.tensor(0)
    )


def _with_tokens(seen: Tensor, q_group: Tensor, k_group: Tensor, tokens: Tensor) -> Tensor:
    """The tokens of a group see its positions and each other, and they see them; `tokens` are the groups of tokens."""
    above = torch.cat([seen, _pairs(torch.eq, q_group, tokens)], 1)
    below = torch.cat([_pairs(torch.eq, tokens, k_group), _pairs(torch.eq, tokens, tokens)], 1)
    return torch.cat([above, below])


def _weights(layer: Any, q: Tensor, k: Tensor, bias: Tensor, seen: Tensor, w: dict[str, Tensor]) -> Tensor:
    if layer.score == "concatenation":
        a, b = w["pair.weight"][0].chunk(2)
        score = ((q @ a)[..., :, None] + (k @ b)[..., None, :]).relu()
    else:
        score = q @ k.transpose(-1, -2)
    if layer.score in ("dot_product", "concatenation"):
        return score.masked_fill(~seen, 0.0) / seen.sum(1)[:, None]
    if layer.score == "embedded_gaussian" and layer.scale:
        score = score / q.shape[-1] ** 0.5
    return (score + bias).masked_fill(~seen, float("-inf")).softmax(-1)


def _distances(
    layer: Any, axes: list[_Axis], q: _Places, k: _Places, seen: Tensor, queries: Tensor, w: dict[str, Tensor]
) -> Tensor:
    """Bias by the offset of each query and key that see each other."""
    if layer.position == "none":
        return queries.new_zeros(1, 1, *seen.shape)
    if layer.position == "table":
        rows = _rows_of_band(layer, axes, q, k) if layer.band else _rows(layer, axes, q, k)
        return w["table"][rows.where(seen, 0)].permute(2, 0, 1)[None]
    total = queries.new_zeros(*queries.shape[:3], seen.shape[1])
    for index, axis in enumerate(axes):
        if axis.attended:
            extents = q.extent[index], k.extent[index]
            rows = _decomposed_rows(q.ordinal[index], k.ordinal[index], *extents)
            vectors = _stretched(w[f"relative.{axis.name}"], 2 * max(extents) - 1)[rows.where(seen, 0)]
            total = total + torch.einsum("bnid,ijd->bnij", queries, vectors)
    return total


def _rows(layer: Any, axes: list[_Axis], q: _Places, k: _Places) -> Tensor:
    """The rows of a table of windows: distances on all axes, the last one running fastest."""
    largest = [a.asked or a.window if a.attended else 1 for a in axes]
    if layer.table_prefix:
        ends = [_in_the_larger(largest, x, s) for x, s in ((q, _query_steps(layer)), (k, _key_steps(layer)))]
    else:
        ends = [[(p - a.shift) % a.padded for a, p in zip(axes, x.at, strict=True)] for x in (q, k)]
    row = torch.zeros(len(q.group), len(k.group), dtype=torch.long)
    for axis, most, p, other in zip(axes, largest, *ends, strict=True):
        distance = _pairs(torch.sub, p, other)
        distance = distance if layer.table_prefix else distance // axis.dilation
        row = row * (2 * most - 1) + distance + most - 1
    return row


def _in_the_larger(largest: list[int], places: _Places, steps: list[int]) -> list[Tensor]:
    """The positions that have in a whole window the numbers that these have in their smaller windows."""
    t, h, width = places.ordinal
    number = (t * places.extent[1] + h) * places.extent[2] + width
    found: list[Tensor] = []
    for most, step in zip(reversed(largest), reversed(steps), strict=True):
        pooled = -(-most // step)
        found = [number % pooled * step, *found]
        number = number // pooled
    return found


def _rows_of_band(layer: Any, axes: list[_Axis], q: _Places, k: _Places) -> Tensor:
    """From `band / 2` positions behind to as many before."""
    [(axis, p, other)] = [ends for ends in zip(axes, q.at, k.at, strict=True) if ends[0].attended]
    return _pairs(torch.sub, p, other) // axis.dilation + layer.band // 2


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


BESIDE: dict[str, Callable[[Any, Value, dict[str, Tensor]], Value]] = {
    "attention": _attention,
    "maxpool": _maxpool,
    "class_token": _tokens,
    "tokens": _tokens,
    "without": _without,
    "select": _select,
    "token_type": _token_type,
    "latents": _latents,
    "rotary": _rotary,
}


# --- the generated module beside it -----------------------------------------------------------------------------------


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """The model in float64 and evaluation, every tensor random: no zero may hide a branch, no variance be negative."""
    generator = torch.Generator().manual_seed(0)
    model = model.double().eval()
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64)
            if value.ndim > 1:  # values keep their size: dot products of dot products would outgrow all numbers
                drawn = (drawn - 0.4) * (12 / value[0].numel()) ** 0.5
                value.copy_(drawn / 10_000 if name.endswith("proj.weight") else drawn)
            else:
                value.copy_(drawn + 0.5 if name.endswith("running_var") else drawn - 0.4)
    return model


def assert_computes_the_graph(arch: Architecture, *, without: Sequence[str] = ()) -> None:
    """The generated module gives, for random weights, what the graph defines; its features too."""
    model = randomised(arch.build(without))
    data = arch._analysis.network
    generator = torch.Generator().manual_seed(1)
    clips = {
        name: torch.randn(2, *map(int, data.node(n).shape.shape), generator=generator, dtype=torch.float64)
        for name, n in data.clips.items()
    }
    with torch.no_grad():
        output = model(*(c.clone() for c in clips.values()))
        features = model.forward_features(*clips.values())
        expected, values = compute(arch, dict(model.state_dict()), clips)
    if not torch.isfinite(expected).all():
        message = "the values outgrow float64, as dot products of dot products can"
        raise OverflowError(message)
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)
    for region in data.regions:
        if isinstance(region, Featured):
            for name, wanted in values[region.exit].features(region.name).items():
                torch.testing.assert_close(features[name], wanted, rtol=1e-9, atol=1e-9)
