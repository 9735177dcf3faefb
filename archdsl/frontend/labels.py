"""Labels with names in braces, `res{i}`: told from a word before braces by what stands before them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lark import Token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archdsl.frontend import ast

# The kinds of tokens behind which a label can stand; behind others, as in `if wide{relu}`, braces hold a chain.
_BEFORE = {"STAGE", "AS", "ARROW", "LBRACE", "LPAR", "COMMA", "COLON", "EQUAL", "SHARE", "_NL"}


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


def words(label: ast.Label) -> list[str]:
    """Return the words of a label: `concat{bn}`, a join without spaces, is written like the label of a loop."""
    return re.findall(r"\w+", label.text)


def names(label: ast.Label) -> list[str]:
    """Return the names in its braces."""
    return re.findall(r"\{(\w+)\}", label.text)


def as_call(label: ast.Label) -> tuple[str, str] | None:
    """Return the join and the only branch that a label can also be; None if it is the label of a value."""
    found = re.fullmatch(r"(\w+)\{(\w+)\}", label.text)
    return (found[1], found[2]) if found is not None else None
