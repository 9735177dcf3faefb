"""Layers that read a mask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from programs.values import Grid

INSIDE = [
    "layernorm", "gelu", "residual { layernorm -> attention(1) }", "attention(1) -> drop_path(0.2)", "scale", "sigmoid",
    "class_token -> attention(1) -> select(grid)", "position(init = zeros)", "softmax(space)", "l2norm -> rmsnorm",
]  # fmt: skip
# Most tell positions from each other, which an average would hide.
BEHIND = [
    "layernorm",
    "attention(1) -> drop_path(0.2)",
    "position -> gelu",
    "conv(in.channels, 3)",
    "conv(3, [1, 3, 3])",
]


def masked(mask: tuple[Grid, int], random: Random, *, ends: bool = False) -> list[str]:
    """Steps on the grid of a mask: some of its positions, and all again if the steps do not end there."""
    grid, visible = mask
    hidden = math.prod(grid) - visible
    steps = [f"keep(hidden, {visible})", random.choice(INSIDE)]
    if not ends or random.random() < 0.5:
        steps.append(random.choice(["restore(hidden)", "restore(hidden, init = zeros)"]))
        if random.random() < 0.7:
            steps.append(random.choice(BEHIND))
        if ends and hidden and random.random() < 0.7:
            steps.append(f"keep(hidden, {hidden}, which = hidden)")
    return steps
