from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.add import Add
from archdsl.layers.base import ShapeError, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("mean", category="merge")
class Mean(Add):
    """Elementwise mean of several values of one shape."""

    hands_on_gradient = False
    drawn_as = ""
    joined = "averaged"

    def _check_tokens(self, inputs: tuple[Grid, ...]) -> None:
        message = f"{' and '.join(map(str, inputs))} cannot be averaged: they differ in their tokens"
        raise ShapeError(message, code="E0511", hint="`select(grid)` removes tokens")
