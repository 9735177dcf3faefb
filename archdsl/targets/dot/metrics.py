"""Widths of text, by which boxes are made wide enough in whatever font a viewer has.

They are those of DejaVu Sans, the widest of the sans-serif fonts that stand in for Helvetica, so that a picture is laid
out the same on every machine.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache


def line_height(size: float) -> float:
    """Return the distance of two lines of a label, as Graphviz sets them at most, in points."""
    return 1.2 * (size + 1)


# Of the characters from U+0020 to U+007E, in hundredths of the type size.
_PLAIN = (
    "32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 53 100 68 69 "
    "70 77 63 58 77 75 29 29 66 56 86 75 79 60 79 69 63 61 73 68 99 69 61 69 39 34 39 84 50 50 61 63 55 63 62 "
    "35 63 63 28 28 58 28 97 63 61 63 63 41 52 39 63 59 82 59 59 52 64 34 64 84"
)
_BOLD = (
    "35 46 52 84 70 100 87 31 46 46 52 84 38 42 38 37 70 70 70 70 70 70 70 70 70 70 40 40 84 84 84 58 100 77 "
    "76 73 83 68 68 82 84 37 37 77 64 100 84 85 73 85 77 72 68 81 77 110 77 72 73 46 37 46 84 50 50 67 72 59 "
    "72 68 44 72 71 34 34 67 34 104 71 69 72 72 49 60 48 71 65 92 65 65 58 71 37 71 84"
)
_OTHERS = {"\u00a0": 36, "\u200a": 10, "×": 84, "·": 40, "→": 84, "…": 100, "–": 50, "−": 84}


def _table(text: str) -> dict[str, int]:
    return {chr(32 + i): int(n) for i, n in enumerate(text.split())} | _OTHERS


_WIDTHS = {False: _table(_PLAIN), True: _table(_BOLD)}


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width of text in points."""
    return _hundredths(text, bold=bold) * size / 100


@lru_cache(maxsize=10_000)
def _hundredths(text: str, *, bold: bool) -> int:
    """Return the width of text in hundredths of the type size; a diagram is tried in many sizes."""
    widths = _WIDTHS[bold]
    return sum(widths[c] if c in widths else _other(c, bold=bold) for c in text)


def _other(character: str, *, bold: bool) -> int:
    if unicodedata.east_asian_width(character) in "WF":
        return 105
    return 0 if unicodedata.combining(character) else 90 if bold else 84
