"""Mistakes of beginners: each is one message, which points at it and holds the cure, and the cure is accepted."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest
from mistakes import FOLDER, Mistake, mistakes

from archdsl.cli import main
from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse

if TYPE_CHECKING:
    from pathlib import Path

SPECS = mistakes("python", "pytorch", "yaml", "language", "more", "contact", "values")
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


COMMANDS: list[dict[str, str]] = tomllib.loads((FOLDER / "commands.toml").read_text("utf-8"))["mistake"]
SPEC = """\
arch net
param classes = 400
input clip: video[3, 16, 112, 112]
stage conv1 { conv(64, 3) -> bn -> relu }
head: avgpool -> linear(classes)
"""


@pytest.mark.parametrize("mistake", COMMANDS, ids=[m["command"] for m in COMMANDS])
def test_command(
    mistake: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    for name, text in (("net.arch", SPEC), ("net.py", "import torch\n"), ("net.yaml", "name: net\n")):
        (tmp_path / name).write_text(text, "utf-8")
    assert _exit_code(mistake["command"]) != 0
    said = capsys.readouterr()
    assert mistake["cure"] in said.out + said.err
    if not mistake["instead"].startswith(("draw", "compile")):  # which take long, and have tests of their own
        assert _exit_code(mistake["instead"]) == 0


def _exit_code(words: str) -> int:
    try:
        return main(words.split())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def test_lines_that_messages_print_are_accepted() -> None:
    printed = [(m, message, line) for m in SPECS for message in m.diagnose(m.wrong) for line in lines_in(message.help)]
    tried = [accepted(*which) for which in printed]
    assert sum(tried) > 40


def accepted(mistake: Mistake, message: Diagnostic, line: str) -> bool:
    """Hold that a line is accepted in the place of the wrong one; False if it is a part of the line of a loop."""
    text = mistake.text(mistake.wrong)
    number = message.span.source.position(message.span.start)[0]
    if text.split("\n")[number - 1].startswith("for ") and not line.startswith("for "):
        return False
    new = with_line(text, number, line)
    wrong = [d for d in faults(new) if d.is_error and d.span.source.position(d.span.start)[0] == number]
    wrong = [d for d in wrong if d.code != "E0601"]  # the lines that follow the header are still missing
    assert not wrong, f"{mistake.kind}: {mistake.name}\n{new}\n{wrong[0]}"
    return True
