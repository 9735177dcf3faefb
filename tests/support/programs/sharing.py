"""Random chains that are frozen, and layers or blocks that are applied twice with the same weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from programs.chains import Chains
    from programs.values import Place, State

# For what `linear(8)` gives: beside all tokens, for grids alone, and over frames that have tokens.
ANY = ["linear(8)", "layernorm", "linear(8, bias = off)", "rmsnorm", "attention(2, over = space)", "scale(0.5)"]
GRIDS = [
    "conv(8, 3)",
    "bn",
    "conv(8, [3, 1, 1], bias = on)",
    "attention(4)",
    "groupnorm(2)",
    "attention(2, over = time)",
]
FRAMES = ["attention(2, over = time)", "attention(4, over = space)"]


def frozen(chains: Chains, place: Place, state: State) -> tuple[str, State]:
    """A chain that is not trained, perhaps on a condition."""
    d = chains.draw
    text, behind = chains.chain(replace(place, depth=place.depth - 1), state, d.whole(1, 2))
    test = d.pick(["", "", f" if {chains.condition(place)}"])
    return f"frozen{test} {{ {text} }}", behind


def shared(chains: Chains, place: Place, state: State) -> tuple[str, State]:
    """A layer or a block twice or more, with something between now and then."""
    d = chains.draw
    if place.repeated or not d.has("share"):
        return chains.simple(place, state)
    chains.labels += 1
    name = f"w{chains.labels}"
    options = [*ANY, *(GRIDS if not state.token else FRAMES if state.token == "frame" else [])]
    first = d.pick(options)
    blocks = [b for b in chains.usable(state) if (b.channels, b.moves, b.reads) == ("same", "still", False)]
    if blocks and d.chance(0.4):
        block = d.pick(blocks)
        first = f"{block.name}({', '.join(chains.given(block, replace(place, index=False)))})"
    if state.token == "frame" and d.chance(0.6):
        first = FRAMES[0]  # whose weights can be used over another axis
    first = f"{first} as {name}"
    again = f"share {name}{'(over = space)' if 'time)' in first and state.token else ''}"
    first = f"frozen {{ {first} }}" if d.chance(0.3) else first
    between = d.pick(["", "relu -> ", "linear(8) -> ", f"residual {{ {again} }} -> "])
    return f"linear(8) -> {first} -> {between}{again}{d.pick(['', ' * 2'])}", state.with_channels("8")
