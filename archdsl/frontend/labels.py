"""Labels with names in braces, `res{i}`: told from a word before braces by what stands before them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lark import Token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The kinds of tokens behind which a label can stand; behind others, as in `if wide{relu}`, braces hold a chain.
_BEFORE = {"STAGE", "AS", "ARROW", "LBRACE", "LPAR", "COMMA", "COLON", "EQUAL", "_NL"}


def with_labels(tokens: Iterable[Token]) -> Iterator[Token]:
    """Yield tokens, with those labels taken apart that are none."""
    before, is_header = "_NL", False
    for token in tokens:
        if token.type == "LABEL" and (before not in _BEFORE or (is_header and before == "AS")):
            yield from _apart(token)
        else:
            yield token
        before = token.type
        is_header = before == "BLOCK" or (is_header and before != "LBRACE")  # `block f() as conv{…}`


def _apart(label: Token) -> Iterator[Token]:
    """Yield the names and braces of a label."""
    for part in re.finditer(r"\w+|[{}]", label):
        kind = {"{": "LBRACE", "}": "RBRACE"}.get(part[0], "NAME")
        column, start = (label.column or 1) + part.start(), (label.start_pos or 0) + part.start()
        end = column + len(part[0]), start + len(part[0])
        yield Token(kind, part[0], start, label.line, column, label.end_line, *end)
