"""Axes of values in memory as text, for docstrings of generated code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import CLIP, FRAME, NO_TOKEN

if TYPE_CHECKING:
    from archdsl.core.grid import Tokens


def channels_last_text(tokens: Tokens) -> str:
    """Return the axes of a value whose channels are last, for docstrings: `(B, 5 + T·H·W, C)` with 5 tokens."""
    texts = {
        NO_TOKEN: "(B, T, H, W, C)",
        CLIP: f"(B, {tokens.number} + T·H·W, C)",
        FRAME: f"(B, T, {tokens.number} + H·W, C)",
    }
    return texts[tokens.scope]
