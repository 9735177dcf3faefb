"""Messages to users: every document of tests/errors; and a document for every code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from error_documents import DOCUMENTS, REWRITTEN, diagnose, expected, fences, shown, with_expected, write_files
from repository import ROOT

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import SpecError
from archdsl.core.explain import explain, sections
from archdsl.core.source import Source
from archdsl.frontend.parse import parse

if TYPE_CHECKING:
    from pathlib import Path

# Codes that no document can show, with the reason.
UNSHOWN = {
    "E0814": "it takes two networks; tests/transfer/test_meanings.py has it",
    "W0805": "it takes two networks; tests/transfer/test_edits_of_stages.py has it",
    "W0112": "`archdsl fmt --upgrade` shows it, the analysis does not; tests/upgrade/test_rewrite.py has it",
    "E0706": "it would show 200 faults; tests/test_hostile.py has it",
    "E0506": "the layers of archdsl have narrower codes; it is for layers that users add in Python",
    "W0102": "`archdsl cost` counts and warns; the analysis alone does not",
}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.stem)
def test_document(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    document = path.read_text("utf-8")
    parts = fences(document)
    write_files(parts, tmp_path)
    monkeypatch.chdir(tmp_path)
    text = shown(parts)
    assert text, "nothing is wrong with this spec"
    if request.config.getoption("--update-errors") and text != expected(parts):
        path.write_text(with_expected(document, text), "utf-8")
        request.config.stash[REWRITTEN].append(path.name)
        return
    assert text == expected(parts)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.stem)
def test_document_has_a_title_and_a_reason(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert re.fullmatch(r"# [A-Z].*[^.]", lines[0])
    assert lines[1] == ""


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.stem)
def test_document_is_whole(path: Path) -> None:
    parts = fences(path.read_text("utf-8"))
    given = {
        "arch",
        "weights",
        "layer",
        "layers",
        "set",
        "recipe",
        "clip",
        "like",
        "from",
        "checkpoint",
        "torch",
        "key",
    }
    assert {p.kind for p in parts} <= given | {"text"}
    assert [p.kind for p in parts].count("text") == 1
    assert parts[0].kind == "arch"
    assert not parts[0].options.get("file")


def test_every_code_is_shown_by_a_document() -> None:
    texts = [expected(fences(p.read_text("utf-8"))) for p in DOCUMENTS]
    codes = {code for text in texts for code in re.findall(r"^(?:error|warning)\[(\w+)\]", text, re.MULTILINE)}
    assert codes | UNSHOWN.keys() == TITLES.keys()
    assert not codes & UNSHOWN.keys()


def test_every_code_is_explained_and_nothing_else() -> None:
    assert list(sections()) == list(TITLES)
    assert explain("e0101") == explain("E0101")
    assert explain("E9999") is None


@pytest.mark.parametrize("code", TITLES)
def test_explanation_holds_an_example(code: str) -> None:
    text = explain(code) or ""
    assert "```arch\n" in text
    assert len(text.split("```")[0].split()) >= 8


@pytest.mark.parametrize("code", TITLES)
def test_example_of_explanation_shows_its_fault(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = fences(sections()[code])
    write_files(parts, tmp_path)
    monkeypatch.chdir(tmp_path)
    if parts[0].options.get("only") != "part":
        assert code in {d.code for d in diagnose(parts)}


def test_no_code_is_named_that_does_not_exist() -> None:
    with pytest.raises(SpecError) as caught:
        parse(Source("spec.arch", ""))
    assert caught.value.diagnostics[0].code in TITLES
    named = {
        code
        for file in (ROOT / "archdsl").rglob("*.py")
        for code in re.findall(r'"([EW]\d{4})"', file.read_text("utf-8"))
    }
    assert named == TITLES.keys()
