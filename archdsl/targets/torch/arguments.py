"""Arguments of a model: their axes, and the statements that bring them to what layers read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.input import SPECTROGRAM
from archdsl.targets.python.tree import Assign, Expr, Literal, Name, Parameter, Stmt, Verbatim, called

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def frame_numbers(network: Network, names: Iterable[str]) -> list[Stmt]:
    """Return the statements that default frame indices among some inputs to 0, 1, 2, …."""
    clip = Name(next(iter(network.clips)))
    indices = [name for name in names if name in network.indices]
    return [Assign([Name(n)], called("_frame_numbers", [Name(n), clip, _frames(network, n)])) for n in indices]


def _frames(network: Network, index: str) -> Expr:
    """Return the length of an input of frame indices: that of the first clip if declared equal, or a number."""
    name, clip = next(iter(network.clips.items()))
    frames = network.node(network.indices[index]).shape.t
    return Literal(f"{name}.shape[2]") if frames == network.node(clip).shape.t else Literal(int(frames))


def grids(network: Network, names: Iterable[str]) -> list[Stmt]:
    """Return the statements that turn spectrograms among some inputs into grids."""
    sounds = [name for name in names if network.node(network.inputs[name]).layer.kind == SPECTROGRAM]
    return [Verbatim(f"{name} = {name}.unsqueeze(3)  # (B, C, T, 1, F)") for name in sounds]
