from __future__ import annotations

from archdsl.layers.add import Add
from archdsl.layers.base import layer


@layer("mean", category="merge")
class Mean(Add):
    """The mean of several values of one shape."""

    joined = "averaged"
