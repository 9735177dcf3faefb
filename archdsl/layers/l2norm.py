from __future__ import annotations

from archdsl.layers.base import Layer, layer


@layer("l2norm", category="norm")
class L2Norm(Layer):
    """x / max(‖x‖₂, 1e-12): the vector of channels at each position, divided by its Euclidean norm; without weights."""

    takes_tokens = True
    treats_positions_alone = True
