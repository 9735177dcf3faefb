"""A network computed by its definition: node after node of the graph, each layer written out once more, in float64.

Shares nothing with the generated code but the state dict, so it tells whether the code does what the graph says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from archdsl import Architecture


def compute(arch: Architecture, state: dict[str, Tensor], clips: dict[str, Tensor]) -> tuple[Tensor, dict[int, Tensor]]:
    """The output in evaluation, and the value of every node, always as (B, C, T, H, W)."""
    network = arch._analysis.network
    values: dict[int, Tensor] = {number: clips[name] for name, number in network.inputs.items()}
    for node in network.all_nodes():
        if node.inputs:
            weights = {k.removeprefix(f"{node.name}."): v for k, v in state.items() if k.startswith(f"{node.name}.")}
            values[node.id] = _layer(node.layer, [values[i] for i in node.inputs], weights)
            assert tuple(values[node.id].shape[1:]) == node.shape, node.name
    output = values[network.output]
    return (output.flatten(1) if network.node(network.output).shape.is_vector else output), values


def _layer(layer: Any, x: list[Tensor], w: dict[str, Tensor]) -> Tensor:
    kind = layer.kind
    if kind == "conv":
        y = _padded(layer, x[0], 0.0, even=True)
        return functional.conv3d(y, w["weight"], w.get("bias"), layer.stride, groups=layer.groups)
    if kind == "bn":
        shape = (1, -1, 1, 1, 1)
        scale = w["weight"] / torch.sqrt(w["running_var"] + layer.eps)
        return (x[0] - w["running_mean"].view(shape)) * scale.view(shape) + w["bias"].view(shape)
    if kind == "linear":
        y = torch.einsum("bcthw,oc->bothw", x[0], w["weight"])
        return y + w["bias"].view(1, -1, 1, 1, 1) if "bias" in w else y
    if kind == "maxpool":
        return _windows(layer, _padded(layer, x[0], float("-inf"), even=False), layer.kernel).amax((-1, -2, -3))
    if kind == "every":
        frames = x[0].shape[2]
        kept = frames // layer.n
        spread = torch.linspace(0, frames - 1, kept, dtype=torch.float64).long()
        return x[0][:, :, spread if layer.rule == "spread" else torch.arange(0, frames, layer.n)]
    if kind == "time_to_channel":
        b, c, t, h, width = x[0].shape
        n = layer.n
        return x[0].view(b, c, t // n, n, h, width).permute(0, 3, 1, 2, 4, 5).reshape(b, n * c, t // n, h, width)
    return {
        "attention": lambda: _attention(layer, x[0].movedim(1, -1), w).movedim(-1, 1),
        "avgpool": lambda: _windows(
            layer, x[0], [k or n for k, n in zip(layer.kernel, x[0].shape[2:], strict=True)]
        ).mean((-1, -2, -3)),
        "relu": lambda: x[0].clamp(min=0),
        "dropout": lambda: x[0],
        "concat": lambda: torch.cat(x, 1),
        "add": lambda: sum(x[1:], x[0]),
        "mean": lambda: sum(x[1:], x[0]) / len(x),
    }[kind]()


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


def _windows(layer: Any, x: Tensor, kernel: Any) -> Tensor:
    for axis, (k, s) in enumerate(zip(kernel, layer.stride, strict=True), start=2):
        x = x.unfold(axis, k, s)
    return x


def _attention(layer: Any, x: Tensor, w: dict[str, Tensor]) -> Tensor:
    """Every position with every key, those that it does not look at taken out by a mask; x is (B, T, H, W, C)."""
    pools = layer.kv_pool

    def pool(v: Tensor) -> Tensor:
        for axis, k in enumerate(pools, start=1):
            v = v.unfold(axis, k, k).amax(-1)
        return v

    def project(name: str, v: Tensor, rows: slice = slice(None)) -> Tensor:
        y = torch.einsum("bthwc,oc->bthwo", v, w[f"{name}.weight"][rows])
        return y + w[f"{name}.bias"][rows] if f"{name}.bias" in w else y

    dim = w["proj.weight"].shape[1]
    before, after = (pool, lambda v: v) if layer.kv_pool_first else (lambda v: v, pool)
    if layer.score == "gaussian":
        q, k, v = x, pool(x), after(project("v", before(x)))
    else:
        first = next(n for n in ("qkv", "q") if f"{n}.weight" in w)
        rest, at = ("qkv", dim) if first == "qkv" else ("kv", 0)
        q = project(first, x, slice(0, dim))
        k, v = (after(project(rest, before(x), slice(a, a + dim))) for a in (at, at + dim))
    batch, heads = x.shape[0], layer.heads
    seen = torch.ones(q.shape[1:4].numel(), k.shape[1:4].numel(), dtype=torch.bool)
    places = [torch.cartesian_prod(*(torch.arange(n) for n in g.shape[1:4])).reshape(-1, 3) for g in (q, k)]
    attended = {"space_time": "thw", "space": "hw", "time": "t", "height": "h", "width": "w"}[layer.over]
    for index, axis in enumerate("thw"):
        if axis not in attended:
            seen &= places[0][:, None, index] == places[1][None, :, index]
    q, k, v = (g.reshape(batch, -1, heads, g.shape[-1] // heads) for g in (q, k, v))
    if layer.score == "concatenation":
        a, b = w["pair.weight"][0].chunk(2)
        score = (torch.einsum("bind,d->bni", q, a)[..., None] + torch.einsum("bjnd,d->bnj", k, b)[:, :, None]).relu()
    else:
        score = torch.einsum("bind,bjnd->bnij", q, k)
    if layer.score in ("gaussian", "embedded_gaussian"):
        scaled = layer.score == "embedded_gaussian" and layer.scale
        score = score / q.shape[-1] ** 0.5 if scaled else score
        score = score.masked_fill(~seen, float("-inf")).softmax(-1)
    else:
        score = score.masked_fill(~seen, 0.0) / seen.sum(1)[:, None]
    y = torch.einsum("bnij,bjnd->bind", score, v).reshape(*x.shape[:4], dim)
    return project("proj", y)


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


def assert_computes_the_graph(arch: Architecture) -> None:
    """The generated module gives, for random weights, what the graph defines; its features too."""
    model = randomised(arch.build())
    data = arch._analysis.network
    generator = torch.Generator().manual_seed(1)
    clips = {
        name: torch.randn(2, *map(int, data.node(n).shape), generator=generator, dtype=torch.float64)
        for name, n in data.inputs.items()
    }
    with torch.no_grad():
        output = model(*(c.clone() for c in clips.values()))
        features = model.forward_features(*clips.values())
        expected, values = compute(arch, dict(model.state_dict()), clips)
    if not torch.isfinite(expected).all():
        message = "the values outgrow float64, as dot products of dot products can"
        raise OverflowError(message)
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)
    for unit in data.units:
        if unit.name in features and unit.kind in ("stage", "lateral"):
            wanted = values[unit.exit]
            torch.testing.assert_close(features[unit.name].reshape(wanted.shape), wanted, rtol=1e-9, atol=1e-9)
