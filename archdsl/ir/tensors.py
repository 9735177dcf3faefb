"""Names, shapes and numbers of the tensors in a network's state dict, derived without building the module."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.ir.network import Network, Node


def own_tensors(node: Node) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a layer's tensors, by their names in the layer; none of one that has those of another."""
    if not node.inputs or node.is_shared:
        return {}
    own = {**node.layer.weights(*node.input_shapes), **node.layer.buffers(*node.input_shapes)}
    return {name: tuple(map(int, shape)) for name, shape in own.items()}


def own_params(node: Node) -> tuple[int, int]:
    """Return the number of parameters of a layer, none of one that has those of another, and of those not trained."""
    if not node.inputs or node.is_shared:
        return 0, 0
    params = int(node.layer.params(*node.input_shapes))
    if node.is_frozen:
        return params, params
    shapes = node.layer.weights(*node.input_shapes)
    return params, sum(prod(map(int, shapes[name])) for name in node.frozen_weights)


def tensors(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors of the state dict, by name, in the order of data flow."""
    return {f"{node.name}.{n}": shape for node in network.all_nodes() for n, shape in own_tensors(node).items()}
