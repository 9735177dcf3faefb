"""Labels of diagrams as their readers see them."""

from __future__ import annotations

import html
import re


def text_of(label: str) -> str:
    """Text of a label as a reader sees it: lines joined by a bar."""
    lines = re.sub(r"<br/>|</td>", "|", label)
    text = html.unescape(re.sub(r"<[^>]*>", "", lines)).replace("\\\\", "\\")
    return text.replace("\u200a", "").replace("\u00a0", " ").strip("| ")


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
