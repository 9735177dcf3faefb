"""Prose of the code: how docstrings begin."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

# A docstring begins with an imperative or a noun phrase, not with a question or a pronoun.
REJECTED = {"What", "Whether", "How", "Where", "Which", "Why", "That", "All"}


def rejected(text: str) -> Iterator[str]:
    """Yield the first lines of docstrings that begin with a rejected word."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node) or ""
            if docstring.split()[:1] and docstring.split()[0] in REJECTED:
                yield docstring.splitlines()[0]


def test_no_docstring_begins_with_a_question_or_a_pronoun() -> None:
    paths = sorted((ROOT / "archdsl").rglob("*.py"))
    assert len(paths) > 100
    found = [f"{path.relative_to(ROOT)}: {line}" for path in paths for line in rejected(path.read_text("utf-8"))]
    assert not found, "begin with an imperative or a noun phrase:\n" + "\n".join(found)


def test_a_rejected_docstring_is_found() -> None:
    method = '    def f(self):\n        """What it gives.\n\n        More.\n        """\n'
    code = f'"""Whether it is."""\nclass A:\n    """A class."""\n{method}'
    assert list(rejected(code)) == ["Whether it is.", "What it gives."]


def test_no_document_has_marks_of_a_conflict() -> None:
    """Left by a merge; in Python and in specs, they would be syntax errors."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "archdsl").rglob("*.md")]
    assert len(paths) > 20
    marks = ("<<<<<<< ", ">>>>>>> ")
    found = [p.name for p in paths if any(line.startswith(marks) for line in p.read_text("utf-8").splitlines())]
    assert not found
