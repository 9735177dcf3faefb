from __future__ import annotations

from archdsl.layers.add import Add
from archdsl.layers.base import layer


@layer("max", category="merge")
class Max(Add):
    """Elementwise maximum of several values of one shape; axes of 1 are repeated, as NumPy broadcasts."""

    hands_on_gradient = False
    drawn_as = "max"
    joined = "compared"
    beside_tokens = False
