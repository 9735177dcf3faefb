from __future__ import annotations

from archdsl.layers.base import Layer, layer


@layer("silu", category="activation")
class SiLU(Layer):
    """x · σ(x), with the logistic function σ (Ramachandran et al. 2017, section 4: Swish, with β = 1)."""

    elementwise = True
