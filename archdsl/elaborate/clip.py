"""The size of a clip as users give it: `3x16x112x112`, or four numbers."""

from __future__ import annotations

import re
from typing import Any

from archdsl.core.arguments import shown, whole

Clip = tuple[int, int, int, int]  # channels, frames, height, width

MAX_SIZE = 999_999  # of one axis
EXPECTED = "expected channels, frames, height and width, as in {example}"


def parse_clip(text: str) -> Clip:
    """Return the size that a text such as `3x16x112x112` gives.

    Raises:
        ValueError: if it is not one.
    """
    parts = [part.strip() for part in re.split("[xX×]", text)]
    wrong = next((part for part in parts if not re.fullmatch(r"\d{1,6}", part, re.ASCII)), None)
    if wrong is None:
        return _checked([int(part) for part in parts], repr(text), "3x16x112x112")
    reason = f"{wrong!r} is not a whole number" if len(parts) > 1 and wrong else "not CxTxHxW"
    message = f"{shown(text)}: {reason}; {EXPECTED.format(example='3x16x112x112')}"
    raise ValueError(message)


def clip_of(value: object) -> Clip:
    """Return the size of a clip, given as text or as four whole numbers.

    Raises:
        TypeError: if it is neither.
        ValueError: if it is not a size.
    """
    try:
        return parse_clip(value) if isinstance(value, str) else _of_numbers(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"clip = {error}") from None


def _of_numbers(value: Any) -> Clip:
    sizes = [whole(n) for n in value] if hasattr(value, "__iter__") else [None]
    if None in sizes:
        message = f"{shown(value)} is not four whole numbers; {EXPECTED.format(example='(3, 16, 112, 112)')}"
        raise TypeError(message)
    return _checked([n for n in sizes if n is not None], shown(value), "(3, 16, 112, 112)")


def _checked(sizes: list[int], given: str, example: str) -> Clip:
    if len(sizes) != 4:
        count = "1 size" if len(sizes) == 1 else f"{len(sizes)} sizes"
        message = f"{given} has {count}; {EXPECTED.format(example=example)}"
        raise ValueError(message)
    for what, size in zip(("channels", "frames", "height", "width"), sizes, strict=True):
        if not 1 <= size <= MAX_SIZE:
            message = f"{given}: {what} of {size}; expected 1 to {MAX_SIZE}"
            raise ValueError(message)
    c, t, h, w = sizes
    return c, t, h, w
