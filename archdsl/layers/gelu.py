from __future__ import annotations

from archdsl.layers.attributes import Flag
from archdsl.layers.base import Layer, layer


@layer("gelu", category="activation")
class GELU(Layer):
    """GELU, x · Φ(x) with the cumulative normal distribution Φ (Hendrycks and Gimpel 2016)."""

    elementwise = True

    tanh = Flag(False, doc="the tanh approximation of Φ")
