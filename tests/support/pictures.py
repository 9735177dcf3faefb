"""Labels of diagrams as their readers see them."""

from __future__ import annotations

import html
import re


def text_of(label: str) -> str:
    """Text of a label as a reader sees it: lines joined by a bar."""
    lines = re.sub(r"<br/>|</td>", "|", label)
    text = html.unescape(re.sub(r"<[^>]*>", "", lines)).replace("\\\\", "\\")
    return text.replace("\u200a", "").replace("\u00a0", " ").strip("| ")
