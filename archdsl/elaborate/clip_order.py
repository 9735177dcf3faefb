"""Clips whose sizes are in the order of another library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.values import Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.frontend import ast

MAX_CHANNELS = 4  # of a video: colours, and an optical flow or a depth


def usual_order(sizes: Sequence[int | Unknown]) -> list[int] | None:
    """Return the sizes of a clip as [channels, frames, height, width], if they are in another usual order.

    Recognised are those of readers of videos, [frames, height, width, channels] and [frames, channels, height, width],
    and [channels, height, width, frames], each with frames that are as high as wide.
    """
    known = [int(s) for s in sizes if not isinstance(s, Unknown)]
    if len(known) != 4:
        return None
    a, b, c, d = known
    if a > MAX_CHANNELS >= d and b == c > MAX_CHANNELS:
        return [d, a, b, c]
    if a > MAX_CHANNELS >= b and c == d > MAX_CHANNELS:
        return [b, a, c, d]
    return [a, d, b, c] if a <= MAX_CHANNELS and b == c > d > MAX_CHANNELS else None


def video_cure(shape: ast.List, sizes: Sequence[int | Unknown]) -> str:
    """Return what to write for a clip of five sizes, of which the first is that of the batch."""
    if len(sizes) != 5:
        return "as in `video[3, 16, 224, 224]`"
    return f"the batch is never written: `video[{', '.join(e.span.text for e in shape.items[1:])}]`"
