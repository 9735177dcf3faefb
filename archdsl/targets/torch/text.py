"""Text of a spec as comments, docstrings and literals: whatever it holds, it stays text."""

from __future__ import annotations

import textwrap
import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # controls, bidi marks, surrogates, separators


def plain(text: str) -> str:
    """Return one line of printable characters; what is not printable is written as its number."""
    joined = " ".join(text.split())
    return "".join(f"U+{ord(c):04X}" if unicodedata.category(c) in _HIDDEN else c for c in joined)


def in_docstring(text: str) -> str:
    """Return text for the inside of a docstring in triple quotes, on one line."""
    return plain(text).replace("\\", "\\\\").replace('"""', r"\"\"\"")


def in_string(text: str) -> str:
    """Return text for the inside of a string literal in double quotes."""
    return plain(text).replace("\\", "\\\\").replace('"', r"\"")


def paragraph(text: str, width: int) -> list[str]:
    """Return docstring lines of at most `width` columns."""
    return textwrap.wrap(in_docstring(text), width, break_long_words=False, break_on_hyphens=False)


def docstring(text: str, indent: int = 4) -> list[str]:
    """Return the lines of a docstring, which has both its triple quotes on the line if there is only one."""
    width = 84 - indent
    lines = paragraph(sentence(text), width)
    return paragraph(sentence(text), width - 2) if len(lines) == 1 else lines


def sentence(text: str) -> str:
    """Return text that ends as a sentence does, as the first line of a docstring should."""
    return text if text.endswith((".", "!", "?")) or not text else text + "."


def in_words(names: list[str]) -> str:
    """Return a list as a sentence has it: `a, b and c`."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
