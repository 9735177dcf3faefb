from __future__ import annotations

from typing import Any

from archdsl.layers.attributes import Flag
from archdsl.layers.base import ANY_LAYOUT, Layer, Use, layer


@layer("gelu", category="activation")
class GELU(Layer):
    """x · Φ(x), Φ being the cumulative normal distribution (Hendrycks and Gimpel 2016)."""

    imports = ("from torch.nn import functional as F",)
    layouts = ANY_LAYOUT

    tanh = Flag(False, doc="whether Φ is approximated by tanh")

    def plan(self, use: Use) -> dict[str, Any]:
        return {"tanh": self.tanh}
