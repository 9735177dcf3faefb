from __future__ import annotations

from archdsl.layers.add import Add
from archdsl.layers.base import layer


@layer("mean", category="merge")
class Mean(Add):
    """Elementwise mean of several values of one shape; axes of 1 are repeated, as NumPy broadcasts."""

    hands_on_gradient = False
    drawn_as = ""
    joined = "averaged"
    beside_tokens = False
