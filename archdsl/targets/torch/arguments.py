"""Arguments of a model: their axes, and the statements that bring them to what layers read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.input import INDEX, SPECTROGRAM
from archdsl.targets.python.tree import Assign, Expr, Literal, Name, Parameter, Stmt, Verbatim, called

if TYPE_CHECKING:
    from archdsl.ir.network import Network


def parameters(network: Network) -> list[Parameter]:
    """Return the parameters of the forward pass; frame indices are optional."""
    needed = [Parameter(name, Name("Tensor")) for name in network.arguments]
    return [*needed, *(Parameter(name, Literal("Tensor | None"), Name("None")) for name in network.indices)]


def axes(network: Network, name: str) -> str:
    """Return the axes of an argument in words."""
    if name in network.indices:
        return "(B, T) or (T,)"
    words = network.node(network.inputs[name]).layer.argument_axes
    return f"(B, {network.arguments[name][0]})" if words == ("C",) else f"(B, {', '.join(words)})"


def is_brought(network: Network, number: int) -> bool:
    """Return whether statements at the start bring an input to what layers read."""
    return network.node(number).layer.kind in {SPECTROGRAM, INDEX}


def frame_numbers(network: Network) -> list[Stmt]:
    """Return the statements that default frame indices to 0, 1, 2, …."""
    clip = Name(next(iter(network.clips)))
    frames = {name: _frames(network, name) for name in network.indices}
    return [Assign([Name(name)], called("_frame_numbers", [Name(name), clip, n])) for name, n in frames.items()]


def _frames(network: Network, index: str) -> Expr:
    """Return the length of an input of frame indices: that of the first clip if declared equal, or a number."""
    name, clip = next(iter(network.clips.items()))
    frames = network.node(network.indices[index]).shape.t
    return Literal(f"{name}.shape[2]") if frames == network.node(clip).shape.t else Literal(int(frames))


def grids(network: Network) -> list[Stmt]:
    """Return the statements that turn spectrograms into grids."""
    sounds = [name for name, number in network.inputs.items() if network.node(number).layer.kind == SPECTROGRAM]
    return [Verbatim(f"{name} = {name}.unsqueeze(3)  # (B, C, T, 1, F)") for name in sounds]
