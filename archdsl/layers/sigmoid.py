from __future__ import annotations

from archdsl.layers.base import Layer, layer


@layer("sigmoid", category="activation")
class Sigmoid(Layer):
    """The logistic function 1 / (1 + exp(-x)), elementwise, as in gates: `multiply { in, linear(8) -> sigmoid }`."""

    elementwise = True
