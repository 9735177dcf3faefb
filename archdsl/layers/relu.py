from __future__ import annotations

from archdsl.layers.base import Layer, layer


@layer("relu", category="activation")
class ReLU(Layer):
    """ReLU, max(x, 0), elementwise."""

    elementwise = True
