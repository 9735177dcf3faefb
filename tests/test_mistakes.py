"""Mistakes of beginners: each is one message, which points at it and holds the cure, and the cure is accepted."""

from __future__ import annotations

import re

import pytest
from mistakes import Mistake, mistakes

from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse

SPECS = mistakes("python", "pytorch", "yaml", "language", "more")
STATEMENTS = "arch|import|cite|published|param|let|input|path|head|stage|block|for|if|else if|recipe|lateral"


def lines_in(message: str) -> list[str]:
    """The whole lines of a spec that a message prints, without those that hold placeholders."""
    return [
        code
        for code in re.findall(r"`([^`]+)`", message)
        if re.fullmatch(rf"(?:{STATEMENTS}) .+", code) and not re.search(r"…|\b[A-Z]{3,}\b|^stage \S+$", code)
    ]


def with_line(text: str, number: int, line: str) -> str:
    """The text with another line, counted from 1; deeper lines below it are its body, or go with the old line."""
    before, old, after = (lines := text.split("\n"))[: number - 1], lines[number - 1], lines[number:]
    indent = len(old) - len(old.lstrip())
    deeper = next((i for i, s in enumerate(after) if s and len(s) - len(s.lstrip()) <= indent), len(after))
    closing = old[: len(old) - len(old.lstrip("} "))]
    if line.startswith("arch ") and before:
        return "\n".join([line, *before[1:], *after])
    if not line.endswith("{"):
        return "\n".join([*before, closing + line, *after[deeper if old.rstrip().endswith(":") else 0 :]])
    ends = [] if after[deeper : deeper + 1] == ["}"] else ["}"]
    return "\n".join([*before, closing + line, *after[:deeper], *ends, *after[deeper:]])


def faults(text: str) -> tuple[Diagnostic, ...]:
    try:
        analyse(Source("spec.arch", text), FileLibrary())
    except SpecError as error:
        return error.diagnostics
    return ()


@pytest.mark.parametrize("mistake", SPECS, ids=lambda m: f"{m.kind}: {m.name}")
def test_mistake(mistake: Mistake) -> None:
    found = mistake.diagnose(mistake.wrong)
    assert len(found) == 1, [d.label for d in found]
    said = f"{found[0].label}\n{found[0].help}"
    assert all(cure in said for cure in mistake.cures), said
    assert found[0].span.start == mistake.place
    assert mistake.diagnose(mistake.right) == ()


PRINTED = [(m, line) for m in SPECS for d in m.diagnose(m.wrong) for line in lines_in(d.help)]


@pytest.mark.parametrize(("mistake", "line"), PRINTED, ids=lambda v: v if isinstance(v, str) else v.name)
def test_line_that_a_message_prints_is_accepted(mistake: Mistake, line: str) -> None:
    text = mistake.text(mistake.wrong)
    (message,) = mistake.diagnose(mistake.wrong)
    number = message.span.source.position(message.span.start)[0]
    if text.split("\n")[number - 1].startswith("for ") and not line.startswith("for "):
        pytest.skip("a part of the line of a loop")
    new = with_line(text, number, line)
    wrong = [d for d in faults(new) if d.is_error and d.span.source.position(d.span.start)[0] == number]
    wrong = [d for d in wrong if d.code != "E0601"]  # the lines that follow the header are still missing
    assert not wrong, f"{new}\n{wrong[0]}"
