"""The grammar: nothing in it is decided by the parser's own rules of precedence."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from lark import Lark, logger

import archdsl.frontend.parse
import archdsl.weights.parse

FRONTEND = Path(archdsl.frontend.parse.__file__).with_name("grammar.lark")
WEIGHTS = Path(archdsl.weights.parse.__file__).with_name("weights.lark")
# `q, k: …` cannot be told from the branches of a join by one token.
AMBIGUOUS = """
start: NAME "{" (list | join) "}"
list: NAME ("," NAME)* ":" NAME
join: chain ("," chain)*
chain: NAME
NAME: /[a-z]+/
%ignore " "
"""


def conflicts(grammar: str, start: list[str], caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the shift/reduce conflicts of a grammar, which Lark resolves as shifts; it raises at all others."""
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger.name):
        Lark(grammar, parser="lalr", lexer="basic", start=start, debug=True)
    return [r.getMessage() for r in caplog.records if "conflict" in r.getMessage()]


def test_a_conflict_is_found(caplog: pytest.LogCaptureFixture) -> None:
    assert conflicts(AMBIGUOUS, ["start"], caplog)


@pytest.mark.parametrize(
    ("path", "start"), [(FRONTEND, ["file", "binding", "bindings"]), (WEIGHTS, ["line"])], ids=["specs", "weights"]
)
def test_the_grammar_has_no_conflict(path: Path, start: list[str], caplog: pytest.LogCaptureFixture) -> None:
    assert conflicts(path.read_text("utf-8"), start, caplog) == []
