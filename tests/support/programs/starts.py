"""Initial values of a fresh module, against what the layers of the graph declare for each tensor and each rate."""

from __future__ import annotations

from math import prod, sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from archdsl.core.values import Symbol
    from archdsl.ir.network import Network

MANY = 7.0  # standard deviations that no number is away
ENOUGH = 24  # numbers, for their spread to tell something
ONES = ("bn", "groupnorm", "layernorm", "rmsnorm", "scale")  # whose scale begins at 1 and shift at 0, as torch has it


def assert_begins_as_said(model: torch.nn.Module, network: Network) -> None:
    """Hold the first values of all tensors, and the rates of dropout and drop path, against the graph."""
    tensors, modules = model.state_dict(), dict(model.named_modules())
    for node in network.all_nodes():
        if not node.inputs or node.is_shared:
            continue
        inits: dict[str, Any] = dict(node.layer.inits(*node.input_shapes))
        for name in node.layer.weights(*node.input_shapes):
            tensor = tensors[f"{node.name}.{name}"]
            if name in inits:
                fans = tensors.get(
                    f"{node.name}.{name}".removesuffix("bias") + "weight", tensor
                )  # a bias has those of its weight
                fault = _unlike(inits[name], tensor, tuple((fans if name.endswith("bias") else tensor).shape))
            elif node.layer.kind in ONES:
                values = node.layer.values()
                is_one = name == "weight" and not (values.get("softplus") or values.get("zero_centred"))
                fault = "" if (tensor == is_one).all() else "not 1 and 0"
            else:
                continue
            assert not fault, f"{node.name}.{name}: {fault}"
        if node.layer.training_only and not node.frozen:
            rate: Any = modules[node.name].p if node.name in modules else 0.0
            assert abs(rate - float(node.layer.values()["p"])) <= 5e-5, f"{node.name}: a rate of {rate}"


def assert_trains_as_said(model: torch.nn.Module, network: Network) -> None:
    """Hold what gets gradients, and what stays in evaluation mode, against what the graph freezes."""
    said: set[str] = set()
    modules = dict(model.train().named_modules())
    for node in network.all_nodes():
        if node.inputs and node.is_frozen and not node.is_shared:
            said |= {f"{node.name}.{name}" for name in node.layer.weights(*node.input_shapes)}
            idle = [m for n, m in modules.items() if f"{n}.".startswith(f"{node.name}.")]
            assert not any(m.training for m in idle), f"{node.name}: frozen, and in training mode"
        elif node.inputs and not node.is_shared:
            held = {f"{node.name}.{name}" for name in node.frozen_weights}
            said |= held
            own = [n.rpartition(".")[0] for n in held if n.rpartition(".")[0] != node.name]
            assert not any(modules[n].training for n in own), f"{own}: frozen lines, in training mode"
    found = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert found == said, f"{sorted(found ^ said)[:4]}: frozen in the module or in the graph alone"


def _unlike(symbol: Symbol, tensor: Tensor, fans: tuple[int, ...]) -> str:
    """Return what is odd of a tensor that begins as a symbol says; nothing if it may be right.

    `fans` is the shape that fan-in and fan-out are those of.
    """
    arguments = [float(a) for a in symbol.arguments]
    if symbol.name in ("zeros", "constant"):
        wanted = arguments[0] if arguments else 0.0
        return "" if (tensor == wanted).all() else f"not all {wanted}"
    spread = _spread(symbol.name, fans, arguments)
    if symbol.name == "central_frame":
        centre = tensor.shape[2] // 2
        others = [k for k in range(tensor.shape[2]) if k != centre]
        if tensor[:, :, others].any():
            return "not 0 beside its central frame"
        tensor = tensor[:, :, centre]
    if symbol.name == "averaged_frames" and not (tensor == tensor[:, :, :1]).all():
        return "frames that differ"
    if tensor.abs().max() > (1.0001 * sqrt(3) if symbol.name == "uniform" else MANY) * spread or (
        spread and not tensor.any()
    ):
        return f"beyond {symbol.name} of {spread}"
    if not spread or tensor.numel() < ENOUGH or symbol.name == "averaged_frames":
        return ""
    found = float(tensor.std(correction=0)) / spread
    return (
        f"{found:.3f} times as wide as {symbol.name} of {spread}"
        if abs(found - 1) > MANY / sqrt(2 * tensor.numel())
        else ""
    )


def _spread(name: str, shape: tuple[int, ...], arguments: list[float]) -> float:
    """Return the standard deviation that a tensor begins with."""
    if name == "msra":
        return sqrt(2 / (shape[0] * prod(shape[2:])))
    if name == "msra_transposed":  # the outputs stand second
        return sqrt(2 / (shape[1] * prod(shape[2:])))
    if name == "xavier":
        return sqrt(2 / ((shape[0] + shape[1]) * prod(shape[2:])))
    if name == "uniform":  # of limits ±1 / √fan-in
        return 1 / sqrt(3 * shape[1] * prod(shape[2:]))
    if name == "depth_scaled":
        return arguments[0] / sqrt(2 * arguments[1])
    return arguments[0] / (shape[2] if name == "averaged_frames" else 1)
