"""Layouts: the order of a value's axes in memory.

B clips, C channels, T frames, H × W positions.
"""

from __future__ import annotations

GRID = "grid"  # (B, C, T, H, W)
CHANNELS_LAST = "channels_last"  # (B, T, H, W, C)
VECTOR = "vector"  # (B, C): a grid of 1×1×1
ROW = "row"  # (B, N, C): selected tokens, which only a mean over all of them reads
TOKENS = "tokens"  # with n tokens, which come first: (B, n + T·H·W, C) of a clip, (B, T, n + H·W, C) of frames
BOX_VECTORS = "box vectors"  # (B, N, C): grids of N×1×1 for N boxes, which only a module returns so
BOX_GRIDS = "box grids"  # (B, N, C, H, W)
KEPT = "layouts"  # the form that the pass of this name chooses: a vector is laid out as the input, with all axes
ANY_LAYOUT = (GRID, CHANNELS_LAST, VECTOR, TOKENS)  # for what works element by element, or asks for the layout
