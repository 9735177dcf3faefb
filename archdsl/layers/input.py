from __future__ import annotations

from archdsl.layers.base import GRID, Layer, layer


@layer("input", category="input")
class Input(Layer):
    """A clip that the module is given."""

    internal = True
    layouts = (GRID,)
