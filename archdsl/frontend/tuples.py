"""Tuples of Python read as lists, so that they hide no other fault of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lark import Token

from archdsl.core.source import Span
from archdsl.frontend.syntax_faults import CLOSE, OPEN, diagnostic
from archdsl.frontend.translate import value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.core.source import Source

# What stands before a value, and never before the arguments of a call or a group of layers.
_BEFORE = {"EQUAL", "COMMA", "LPAR", "LSQB", "IN", "PLUS", "COMPARE"}
_NO_VALUES = {"ARROW", "LBRACE", "EQUAL"}


def tuples_as_lists(source: Source, tokens: Sequence[Token]) -> tuple[list[Token], list[Diagnostic]]:
    """Return the tokens with square brackets around the elements of each tuple, and a diagnostic for each.

    Nothing is changed where the brackets of the text do not match.
    """
    changed, faults = list(tokens), list["Diagnostic"]()
    opened: list[int] = []
    apart: list[bool] = []  # for each open bracket: whether a comma stands in it
    plain: list[bool] = []  # whether all in it can be values
    for at, token in enumerate(tokens):
        if token.type in OPEN:
            opened.append(at)
            apart.append(False)
            plain.append(True)
        elif token.type in CLOSE:
            if not opened or CLOSE[token.type] != tokens[opened[-1]].type:
                return list(tokens), []
            begin, is_tuple = opened.pop(), all([apart.pop(), plain.pop()])
            if is_tuple and tokens[begin].type == "LPAR" and begin and tokens[begin - 1].type in _BEFORE:
                changed[begin] = Token.new_borrow_pos("LSQB", "[", tokens[begin])
                changed[at] = Token.new_borrow_pos("RSQB", "]", token)
                faults.append(_fault(source, tokens[begin], token))
        elif opened:
            apart[-1] = apart[-1] or token.type == "COMMA"
            plain[-1] = plain[-1] and token.type not in _NO_VALUES
    return changed, sorted(faults, key=lambda f: f.span.start)


def _fault(source: Source, begin: Token, end: Token) -> Diagnostic:
    """Return the diagnostic for a tuple, with the list to write instead."""
    span = Span(source, begin.start_pos or 0, end.end_pos or 0)
    text = value_of(span.text) or f"[{span.text[1:-1]}]"
    hint = "a list stands in square brackets" + (f": `{text}`" if "\n" not in text else "")
    return diagnostic("E0103", span, f"`{span.text.partition(chr(10))[0]}` cannot stand here", hint)
