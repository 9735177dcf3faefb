"""The tensors of a network's module, known without making it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.graph.model import Network


def tensors(network: Network) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors of the state dict, by name, in the order of data flow."""
    found: dict[str, tuple[int, ...]] = {}
    for node in network.all_nodes():
        if node.inputs and node.layer.is_module(*node.input_shapes):
            own = {**node.layer.weights(*node.input_shapes), **node.layer.buffers(*node.input_shapes)}
            found.update((f"{node.name}.{name}", tuple(map(int, shape))) for name, shape in own.items())
    return found
