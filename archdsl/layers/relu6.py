from __future__ import annotations

from archdsl.layers.base import Layer, layer


@layer("relu6", category="activation")
class ReLU6(Layer):
    """min(max(x, 0), 6) (Krizhevsky 2010, section 3; as in MobileNetV2)."""

    elementwise = True
