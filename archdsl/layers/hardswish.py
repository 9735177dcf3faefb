from __future__ import annotations

from archdsl.layers.base import Layer, layer


@layer("hardswish", category="activation")
class HardSwish(Layer):
    """x · min(max(x + 3, 0), 6) / 6 (Howard et al. 2019, section 5.2: h-swish)."""

    elementwise = True
