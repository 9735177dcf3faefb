from __future__ import annotations

from archdsl.layers.base import Layer, layer


@layer("tanh", category="activation")
class Tanh(Layer):
    """The hyperbolic tangent, (exp(x) - exp(-x)) / (exp(x) + exp(-x)), elementwise."""

    elementwise = True
