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
        padding = [k // 2 for k in layer.kernel]
        return functional.conv3d(x[0], w["weight"], w.get("bias"), layer.stride, padding, groups=layer.groups)
    if kind == "bn":
        shape = (1, -1, 1, 1, 1)
        scale = w["weight"] / torch.sqrt(w["running_var"] + layer.eps)
        return (x[0] - w["running_mean"].view(shape)) * scale.view(shape) + w["bias"].view(shape)
    if kind == "linear":
        y = torch.einsum("bcthw,oc->bothw", x[0], w["weight"])
        return y + w["bias"].view(1, -1, 1, 1, 1) if "bias" in w else y
    if kind == "maxpool":
        padding = [k // 2 if k % 2 else 0 for k in layer.kernel]
        return functional.max_pool3d(x[0], layer.kernel, layer.stride, padding)
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
        "relu": lambda: x[0].clamp(min=0),
        "avgpool": lambda: x[0].mean((2, 3, 4), keepdim=True),
        "dropout": lambda: x[0],
        "concat": lambda: torch.cat(x, 1),
        "add": lambda: sum(x[1:], x[0]),
    }[kind]()


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """The model in float64 and evaluation, every tensor random: no zero may hide a branch, no variance be negative."""
    generator = torch.Generator().manual_seed(0)
    model = model.double().eval()
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64)
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
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)
    for unit in data.units:
        if unit.name in features and unit.kind in ("stage", "lateral"):
            wanted = values[unit.exit]
            torch.testing.assert_close(features[unit.name].reshape(wanted.shape), wanted, rtol=1e-9, atol=1e-9)
