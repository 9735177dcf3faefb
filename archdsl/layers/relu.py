from __future__ import annotations

from archdsl.layers.base import Layer, layer


@layer("relu", category="activation")
class ReLU(Layer):
    """max(x, 0), element by element."""

    elementwise = True
