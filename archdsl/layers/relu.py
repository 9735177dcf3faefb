from __future__ import annotations

from typing import Any

from archdsl.layers.base import ANY_LAYOUT, Layer, Saved, Use, layer


@layer("relu", category="activation")
class ReLU(Layer):
    """max(x, 0), element by element."""

    imports = ("from torch.nn import functional as F",)
    layouts = ANY_LAYOUT

    def saved(self, use: Use) -> Saved:
        return Saved(output=True)

    def plan(self, use: Use) -> dict[str, Any]:
        return {"inplace": use.inplace}
