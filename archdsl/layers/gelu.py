from __future__ import annotations

from archdsl.layers.attributes import Flag
from archdsl.layers.base import Layer, layer


@layer("gelu", category="activation")
class GELU(Layer):
    """x · Φ(x), Φ being the cumulative normal distribution (Hendrycks and Gimpel 2016)."""

    elementwise = True

    tanh = Flag(False, doc="whether Φ is approximated by tanh")
