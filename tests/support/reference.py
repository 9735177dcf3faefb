"""A network computed by its definition: node after node of the graph, each layer written out once more, in float64.

Shares nothing with the generated code but the state dict, so it tells whether the code does what the graph says.
Attention looks at all pairs of positions, and masks those that do not see each other: nothing is cut, rolled or folded.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from definition import Definition
from definition.compare import difference
from definition.lines import Attended
from given import given
from reference_boxes import roi_align
from reference_lines import attended
from reference_masks import axial, bicubic, keep, restore
from reference_value import Value
from torch.nn import functional

from archdsl.ir.regions import Featured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from archdsl import Architecture
    from archdsl.ir.network import Network


def compute(
    arch: Architecture, state: dict[str, Tensor], clips: dict[str, Tensor], definition: Definition | None = None
) -> tuple[dict[str, Tensor], dict[int, Value]]:
    """The outputs in evaluation as modules write them, by head, and the value of every node.

    Attention is computed from the text, as the definition of the program reads it.

    Numbers of frames (inputs of the kind `index`, (T,) or (B, T)) can be left out, and are then 0, 1, 2, …
    """
    network = arch._analysis.network
    definition = definition or defined(arch)
    values: dict[int, Value] = {}
    for name, number in network.inputs.items():
        node = network.node(number)
        argument = clips[name] if name in clips else torch.arange(int(node.shape.t))
        values[number] = Value(_as_grid(node.layer.kind, argument))
    for node in network.all_nodes():
        if node.inputs:
            applied = definition.applied[node.id]
            start = f"{(applied.source or applied).name}."
            weights = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
            inputs = [values[i] for i in node.inputs]
            layer: Any = applied.layer
            is_text = isinstance(layer, Attended)
            values[node.id] = found = (
                attended(layer, inputs, weights, apply_layer) if is_text else apply_layer(layer, inputs, weights)
            )
            assert tuple(found.grid.shape[1:]) == node.shape.shape, node.name
            assert (found.scope, found.kinds) == tuple(node.shape.tokens), node.name
    of_boxes = _of_boxes(network)
    return {name: _given_out(values[n], of_boxes=n in of_boxes) for name, n in network.outputs.items()}, values


def _of_boxes(network: Network) -> set[int]:
    """The values whose second axis counts boxes: features of boxes, and what no layer made one of all of them."""
    found = set[int]()
    for node in network.all_nodes():
        layer: Any = node.layer
        pools_all = layer.kind in {"avgpool", "maxpool"} and layer.kernel[0] == 0
        if layer.kind == "roi_align" or (found.intersection(node.inputs) and not pools_all):
            found.add(node.id)
    return found


def _given_out(value: Value, *, of_boxes: bool) -> Tensor:
    """An output as modules give it: a vector (B, C), those of boxes (B, N, C), and grids with all their axes."""
    if of_boxes and value.token is None:
        columns = value.grid.transpose(1, 2)
        return columns.flatten(2) if columns.shape[3:] == (1, 1) else columns
    return value.grid.flatten(1) if value.token is None and value.grid[0, 0].numel() == 1 else value.written


def _as_grid(kind: str, argument: Tensor) -> Tensor:
    """An argument as the grid that layers see: numbers of frames stay as they are."""
    if kind == "vector input":
        return argument[:, :, None, None, None]
    if kind == "spectrogram input":
        return argument[:, :, :, None, :]
    if kind == "mask input":
        return argument[:, None]
    return argument.transpose(1, 2)[:, :, :, None, None] if kind == "boxes input" else argument


def by_head(outputs: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    """What a module gives, by head; the only one has no name."""
    return outputs if isinstance(outputs, dict) else {"": outputs}


def defined(arch: Architecture) -> Definition:
    """The definition of a network, with the values of its parameters and the size of its clip."""
    analysis = arch._analysis
    program, network = analysis.program, analysis.network
    sources = [*(f.source for f in program.files), *program.imported]
    name = program.files[0].source.name
    texts = {Path(s.name).stem: s.text for s in reversed(sources)}
    values = {name: exact(value) for name, value in analysis.parameters.items()}
    shapes = {name: network.node(number).shape for name, number in network.inputs.items()}
    definition = Definition(Path(name).stem, texts, values, shapes)
    assert difference(definition, network) == ""
    return definition


def exact(value: Any) -> Any:
    """A value of the compiler as the definition has it."""
    if isinstance(value, tuple):
        return tuple(map(exact, value))
    return Fraction(value) if isinstance(value, int) and not isinstance(value, bool) else value


def apply_layer(layer: Any, values: list[Value], w: dict[str, Tensor]) -> Value:
    """One layer: some know grids only, some do the same to a class token as to a position, some tell them apart."""
    first = values[0]
    if layer.kind == "softmax" and layer.over == "channels":
        return first.mapped(lambda x: torch.exp(x) / torch.exp(x).sum(1, keepdim=True))
    if layer.kind in GRIDS:
        return Value(GRIDS[layer.kind](layer, first.grid, w))
    if layer.kind in EVERYWHERE:
        return first.mapped(lambda x: EVERYWHERE[layer.kind](layer, x, w))
    if layer.kind in BESIDE:
        return BESIDE[layer.kind](layer, first, w)
    if layer.kind in JOINED:
        return JOINED[layer.kind](layer, *values)
    if layer.kind in READING:
        return READING[layer.kind](layer, first, w, values[1].grid if len(values) > 1 else None)
    kinds = next((x.kinds for x in values if x.kinds), ())
    if layer.kind == "concat":
        tokens = [x.token for x in values if x.token is not None]
        return Value(torch.cat([x.grid for x in values], 1), torch.cat(tokens, 1) if tokens else None, kinds)
    tokens = [x.token for x in values if x.token is not None]  # a grid adds nothing to a token, and multiplies none
    join = (lambda x: _blend(x, w["weight"])) if layer.kind == "blend" else VALUES[layer.kind]
    return Value(join(_alike([x.grid for x in values])), join(_alike(tokens)) if tokens else None, kinds)


def _alike(values: list[Tensor]) -> Tensor:
    """Values in one tensor, each repeated along its axes of 1."""
    shape = [max(sizes) for sizes in zip(*(x.shape for x in values), strict=True)]
    return torch.stack([x.repeat([n // own for n, own in zip(shape, x.shape, strict=True)]) for x in values])


def _blend(x: Tensor, weight: Tensor) -> Tensor:
    share = 1 / (1 + torch.exp(-_along_channels(weight, x[0])))
    return share * x[0] + (1 - share) * x[1]


VALUES: dict[str, Callable[[Tensor], Tensor]] = {
    "add": lambda x: x.sum(0),
    "mean": lambda x: x.mean(0),
    "multiply": lambda x: x.prod(0),
    "max": lambda x: x.amax(0),
}


# --- grids -----------------------------------------------------------------------------------------------------------


def _conv(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:
    apart = layer.dilation
    kernel = [d * (k - 1) + 1 for k, d in zip(layer.kernel, apart, strict=True)]
    spread = torch.zeros(*w["weight"].shape[:2], *kernel, dtype=x.dtype)  # zeros between the neighbours
    spread[:, :, :: apart[0], :: apart[1], :: apart[2]] = w["weight"]
    half = [d * (k // 2) for k, d in zip(layer.kernel, apart, strict=True)]
    y = functional.pad(x, _flat(_sides(layer, x, kernel, half)))
    return functional.conv3d(y, spread, w.get("bias"), layer.stride, groups=layer.groups)


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


def _swap(layer: Any, x: Tensor, _: Any) -> Tensor:
    """Position by position: that of row i and column j becomes channel i·W + j, its channels a frame, row by row."""
    if layer.over == "time":
        return torch.einsum("bcthw->btchw", x)
    height, width, columns = *x.shape[3:], x.shape[1] // layer.rows
    frames = [x[..., n // width, n % width].transpose(1, 2) for n in range(height * width)]
    return torch.stack([torch.stack(f.split(columns, -1), 2) for f in frames], 1)


def _space_to_channel(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    """Column by column: of the channels of one position, the rows of the first column come first."""
    n = layer.n
    x = functional.pad(x, (0, -x.shape[4] % n, 0, -x.shape[3] % n))
    return torch.cat([x[:, :, :, i::n, j::n] for j in range(n) for i in range(n)], 1)


def _avgpool(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    """Sums of windows, over the number of positions in each that count: beyond all padding none do."""
    words = layer.padding if isinstance(layer.padding, tuple) else (layer.padding,) * 3
    inside = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype)
    values, (kernel, sides, behind) = _pooling(layer, x, 0.0), _places(layer, x)
    counts = layer.count_padding and "same" not in words
    counted = functional.pad(functional.pad(inside, _flat(sides), value=float(counts)), _flat(behind))
    sums, numbers = (_windows(v, kernel, layer.stride).sum((-1, -2, -3)) for v in (values, counted))
    return sums / numbers


def _shift(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    """Channel by channel, frame by frame."""
    frames = x.shape[2]
    earlier = layer.next if layer.previous is None else layer.previous
    y = x.clone()
    for channel in range(layer.next + earlier):
        for t in range(frames):
            source = t + (layer.distance if channel < layer.next else -layer.distance)
            if 0 <= source < frames:
                y[:, channel, t] = x[:, channel, source]
            else:
                y[:, channel, t] = x[:, channel, 0 if source < 0 else -1] if layer.ends == "repeat" else 0
    return y


def _difference(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    changes = [x[:, :, t + layer.distance] - x[:, :, t] for t in range(x.shape[2] - layer.distance)]
    ends = [torch.zeros_like(changes[0])] * layer.distance if layer.ends == "zero" else []
    return torch.stack([*changes, *ends], 2)


def _cumulative_mean(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    return torch.stack([x[:, :, : t + 1].mean(2) for t in range(x.shape[2])], 2)


def _softmax(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    axes = {"channels": (1,), "time": (2,), "space": (3, 4), "space_time": (2, 3, 4)}[layer.over]
    powers = torch.exp(x - x.amax(axes, keepdim=True))
    return powers / powers.sum(axes, keepdim=True)


def _groupnorm(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:
    groups = x.unflatten(1, (layer.groups, -1))
    centred = groups - groups.mean((2, 3, 4, 5), keepdim=True)
    scaled = (centred / torch.sqrt(centred.square().mean((2, 3, 4, 5), keepdim=True) + layer.eps)).flatten(1, 2)
    return scaled * _along_channels(w["weight"], x) + _along_channels(w["bias"], x)


def _conv_transpose(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:
    """Each position adds its multiple of the kernel to the positions around it."""
    groups, (t, h, v) = layer.groups, layer.kernel
    sizes = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], layer.stride, layer.kernel, strict=True)]
    y = torch.zeros(len(x), layer.out, *sizes, dtype=x.dtype)
    parts = x.unflatten(1, (groups, -1)), w["weight"].unflatten(0, (groups, -1))
    stamps = torch.einsum("bgithw,giopqr->bgothwpqr", *parts).flatten(1, 2)
    for i, j, k in itertools.product(*map(range, x.shape[2:])):
        a, b, c = (n * s for n, s in zip((i, j, k), layer.stride, strict=True))
        y[:, :, a : a + t, b : b + h, c : c + v] += stamps[:, :, i, j, k]
    y = functional.pad(y, [-p for p in reversed(layer.padding) for _ in range(2)])
    return y if "bias" not in w else y + w["bias"].view(-1, 1, 1, 1)


def _upsample(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    """Axis by axis: a position of the output lies between two centres of the input, or is nearest to one."""
    for axis, (size, factor) in enumerate(zip(layer.size, layer.factor, strict=True), start=2):
        n, length = x.shape[axis], size or x.shape[axis] * factor
        values: list[Tensor] = []
        for i in range(length):
            at = min(max(Fraction(2 * i + 1, 2) * Fraction(n, length) - Fraction(1, 2), Fraction(0)), Fraction(n - 1))
            low, share = int(at), float(at - int(at))
            near = x.select(axis, i * n // length)
            mixed = (1 - share) * x.select(axis, low) + share * x.select(axis, min(low + 1, n - 1))
            values.append(mixed if layer.mode == "linear" else near)
        x = torch.stack(values, axis)
    return x


GRIDS: dict[str, Callable[[Any, Tensor, dict[str, Tensor]], Tensor]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "upsample": _upsample,
    "bn": _bn,
    "groupnorm": _groupnorm,
    "softmax": _softmax,
    "every": _every,
    "time_to_channel": _time_to_channel,
    "space_to_channel": _space_to_channel,
    "avgpool": _avgpool,
    "shift": _shift,
    "difference": _difference,
    "cumulative_mean": _cumulative_mean,
    "swap": _swap,
}


def _sides(layer: Any, x: Tensor, kernel: Any, half: list[int]) -> list[tuple[int, int]]:
    """What stands before and behind each axis: TensorFlow's `same` for ⌈n / s⌉ windows, the odd position behind."""
    words = layer.padding if isinstance(layer.padding, tuple) else (layer.padding,) * 3
    sides: list[tuple[int, int]] = []
    for word, n, k, s, h in zip(words, x.shape[2:], kernel, layer.stride, half, strict=True):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        known = {"same": (total // 2, total - total // 2), "half": (h, h), "valid": (0, 0), "causal": (k - 1, 0)}
        sides.append(known[word] if isinstance(word, str) else (word, word))
    return sides


def _flat(sides: list[tuple[int, int]]) -> list[int]:
    """Padding as torch takes it: the last axis first."""
    return [n for pair in reversed(sides) for n in pair]


def _places(layer: Any, x: Tensor) -> tuple[list[int], list[tuple[int, int]], list[tuple[int, int]]]:
    """The kernel of a pooling, what is padded, and what windows reach beyond it where their number is rounded up."""
    kernel = [k or n for k, n in zip(layer.kernel, x.shape[2:], strict=True)]
    sides = _sides(layer, x, [k or 1 for k in layer.kernel], [k // 2 * (k % 2) for k in layer.kernel])
    behind: list[tuple[int, int]] = []
    for n, k, s, (before, after) in zip(x.shape[2:], kernel, layer.stride, sides, strict=True):
        starts = [i for i in range(0, n + before, s) if i < s or i - s + k < n + before + after]
        ends = starts[-1] + k if layer.ceil else 0  # the first place at or behind the end is the last
        behind.append((0, max(0, ends - n - before - after)))
    return kernel, sides, behind


def _pooling(layer: Any, x: Tensor, value: float) -> Tensor:
    _, sides, behind = _places(layer, x)
    return functional.pad(functional.pad(x, _flat(sides), value=value), _flat(behind), value=value)


def _windows(x: Tensor, kernel: Any, stride: Any) -> Tensor:
    """The positions under each place of a moving window: (B, C, T, H, W) → (B, C, t, h, w, *kernel)."""
    for axis, (k, s) in enumerate(zip(kernel, stride, strict=True), start=2):
        x = x.unfold(axis, k, s)
    return x


# --- the same at each position and for tokens ------------------------------------------------------------------------


def _factors(layer: Any, weight: Tensor, x: Tensor) -> Tensor:
    if layer.softplus:
        weight = (1 + weight.exp()).log2()
    return weight if weight.ndim == 0 else _along_channels(weight, x)


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
    if layer.quick:
        return x / (1 + torch.exp(-1.702 * x))
    if layer.tanh:
        return x / 2 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
    return x / 2 * (1 + torch.erf(x / 2**0.5))


EVERYWHERE: dict[str, Callable[[Any, Tensor, dict[str, Tensor]], Tensor]] = {
    "linear": lambda _, x, w: _product(x, w["weight"], w.get("bias")),
    "layernorm": lambda layer, x, w: _normalised(x, w["weight"] + bool(layer.zero_centred), w["bias"], layer.eps),
    "rmsnorm": lambda layer, x, w: x / (x.square().mean(1, True) + layer.eps).sqrt() * _along_channels(w["weight"], x),
    "l2norm": lambda _, x, __: x / torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp(min=1e-12),
    "relu": lambda _, x, __: x.clamp(min=0),
    "channels": lambda layer, x, _: torch.stack([x[:, layer.start + i] for i in range(layer.n)], 1),
    "sigmoid": lambda _, x, __: 1 / (1 + torch.exp(-x)),
    "gelu": _gelu,
    "silu": lambda _, x, __: x / (1 + torch.exp(-x)),
    "tanh": lambda _, x, __: 1 - 2 / (torch.exp(2 * x) + 1),
    "relu6": lambda _, x, __: x.clamp(0, 6),
    "hardsigmoid": lambda layer, x, __: (x * layer.slope + 0.5).clamp(0, 1),
    "hardswish": lambda _, x, __: x * (x + 3).clamp(0, 6) / 6,
    "scale": lambda layer, x, w: x * (_factors(layer, w["weight"], x) if layer.learned else layer.init),
    "dropout": lambda _, x, __: x,
    "drop_path": lambda _, x, __: x,
}


# --- tokens and positions --------------------------------------------------------------------------------------------


def _maxpool(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:  # noqa: ARG001
    kernel, _, _ = _places(layer, x.grid)
    windows = _windows(_pooling(layer, x.grid, float("-inf")), kernel, layer.stride)
    return Value(windows.amax((-1, -2, -3)), x.token, x.kinds)


def _tokens(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:
    """Learned tokens, behind others that are there; a class token is one called `token`."""
    batch, channels, frames = x.grid.shape[:3]
    rows = w["weight"].view(-1, channels).T
    new = rows.expand(batch, *rows.shape)
    if layer.scope == "frame":
        new = torch.stack([new] * frames, 2)
    return x.beside({**x.by_name, getattr(layer, "name", "token"): new})


def _select(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:  # noqa: ARG001
    """The grid alone, or tokens as one: frames × 1 × tokens, with the positions behind them if all are selected."""
    if layer.part == "grid":
        return Value(x.grid)
    if layer.part == "all" and "all" not in x.by_name:
        tokens = torch.cat([x.token, x.grid.flatten(2 if x.scope == "clip" else 3)], -1)
    else:
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


def _temporal_filter(layer: Any, x: Value, kernel: Value) -> Value:  # noqa: ARG001
    """Each frame is a sum of those around it, with weights that are the same for all positions of a channel."""
    taps = kernel.grid.shape[2]
    padded = functional.pad(x.grid, (0, 0, 0, 0, taps // 2, taps // 2))
    return Value(torch.einsum("bcthwk,bck->bcthw", padded.unfold(2, taps, 1), kernel.grid[..., 0, 0]))


JOINED: dict[str, Callable[..., Value]] = {
    "beside": _beside,
    "grid": _on_grid,
    "temporal_filter": _temporal_filter,
    "roi_align": lambda layer, *values: Value(roi_align(layer, *(value.grid for value in values))),
}


def _token_type(layer: Any, x: Value, w: dict[str, Tensor]) -> Value:  # noqa: ARG001
    positions, token = w["weight"]
    assert x.token is not None
    return Value(x.grid + _along_channels(positions, x.grid), x.token + _along_channels(token, x.token), x.kinds)


def _position(layer: Any, x: Value, w: dict[str, Tensor], index: Tensor | None) -> Value:
    """The vectors of the positions, (T, H, W, C) with 1 where they are shared, and those of the tokens (n, C)."""
    t, h, width = x.grid.shape[2:]
    own = x.token is not None and layer.token and layer.vectors == "learned"
    own = own and (x.scope, layer.over) != ("frame", "time")
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
        sizes = {"space_time": (t, h, width), "space": (1, h, width), "time": (t, 1, 1)}[layer.over]
        rows = _table(layer, sizes, x.grid.shape[1]) if layer.vectors != "learned" else w["weight"]
        tokens, rows = (rows[:number], rows[number:]) if own else (None, rows)
        added = rows.view(*sizes, -1)
    grid = x.grid + added.movedim(-1, -4)
    if x.scope == "frame" and layer.over == "time":  # a token has the vector of its frame
        assert x.token is not None
        return Value(grid, x.token + rows.T[:, :, None], x.kinds)
    if tokens is None or x.token is None:
        return Value(grid, x.token, x.kinds)
    return Value(grid, x.token + tokens.T.view(1, -1, *[1] * (x.token.ndim - 3), number), x.kinds)


def _table(layer: Any, size: tuple[int, int, int], channels: int) -> Tensor:
    made = (size[0], *(n or own for n, own in zip(layer.made_for[1:], size[1:], strict=True)))
    is_axial = layer.vectors == "axial_sinusoid"
    table = axial(layer.over, made, channels) if is_axial else _sinusoid(math.prod(made), channels)
    return bicubic(table, made[1:], size[1:])


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


READING: dict[str, Callable[[Any, Value, dict[str, Tensor], Any], Value]] = {
    "position": _position,
    "keep": lambda layer, x, _, mask: Value(keep(layer, x.grid, mask)),
    "restore": lambda _, x, w, mask: Value(restore(x.grid, mask, w["weight"])),
}
BESIDE: dict[str, Callable[[Any, Value, dict[str, Tensor]], Value]] = {
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
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # some tables are computed as the module is made
    try:
        model = randomised(arch.build(without))
    finally:
        torch.set_default_dtype(usual)
    data = arch._analysis.network
    clips = given(data, 2)
    with torch.no_grad():
        output = model(*(c.clone() for c in clips.values()))
        features = model.forward_features(*clips.values())
        expected, values = compute(arch, dict(model.state_dict()), clips)
    if not all(torch.isfinite(x).all() for x in expected.values()):
        message = "the values outgrow float64, as dot products of dot products can"
        raise OverflowError(message)
    torch.testing.assert_close(by_head(output), expected, rtol=1e-9, atol=1e-9)
    for region in data.regions:
        if isinstance(region, Featured):
            for name, wanted in values[region.exit].features(region.name).items():
                torch.testing.assert_close(features[name], wanted, rtol=1e-9, atol=1e-9)
