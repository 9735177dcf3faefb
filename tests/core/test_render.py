"""The renderers: carets under the right characters, offsets that slice, nothing that a terminal would obey."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repository import ROOT

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, Note, SpecError
from archdsl.core.render import MAX_WIDTH, render_text
from archdsl.core.render_json import render_json
from archdsl.core.render_sarif import render_sarif
from archdsl.core.source import Source, Span
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse

SPEC = ROOT / "specs" / "slowfast_r50.arch"


def fault(text: str, part: str, *notes: Note, name: str = "spec.arch", code: str = "E0301") -> Diagnostic:
    """A diagnostic about the first occurrence of `part`."""
    return at(Source(name, text), part, *notes, code=code)


def at(source: Source, part: str, *notes: Note, code: str = "E0301") -> Diagnostic:
    start = source.text.index(part)
    return Diagnostic(code, TITLES[code], Span(source, start, start + len(part)), "wrong", notes, "mend it")


def columns(text: str) -> int:
    """The width of a text on a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def excerpt(diagnostic: Diagnostic) -> tuple[str, str]:
    """The source line and the line of carets."""
    lines = render_text([diagnostic]).splitlines()
    return lines[3], lines[4]


# --- text ------------------------------------------------------------------------------------------------------------


def test_layout_of_a_diagnostic() -> None:
    source = Source("specs/my.arch", "\n" * 9 + "first(1)\nlast(7)\n")
    note = Note("1 comes from here", at(source, "first(1)").span)
    assert render_text([at(source, "7", note, Note("a remark"))]) == (
        "error[E0301]: a value of the wrong type\n"
        "  --> specs/my.arch:11:6\n"
        "   |\n"
        "11 | last(7)\n"
        "   |      ^ wrong\n"
        "note: 1 comes from here\n"
        "  --> specs/my.arch:10:1\n"
        "   |\n"
        "10 | first(1)\n"
        "   | --------\n"
        "note: a remark\n"
        "help: mend it\n"
        "\n"
        "1 error\n"
    )


def test_note_on_the_same_line_stands_in_the_same_excerpt() -> None:
    source = Source("spec.arch", "conv(64, 7)")
    text = render_text([at(source, "7", Note("64 is here", at(source, "64").span))])
    assert text.splitlines()[3:6] == ["1 | conv(64, 7)", "  |          ^ wrong", "  |      -- 64 is here"]


@pytest.mark.parametrize(
    "before",
    ["", "\t", "\t\t x\t", "宽宽 ", "e\u0301 ", "\uff46\uff55", "\u202e\u200b", "\x1b[31m", "\u00a0", "🎬 "],
    ids=["nothing", "tab", "tabs", "wide", "combining", "full", "bidi", "escape", "space", "emoji"],
)
def test_carets_stand_under_what_is_meant(before: str) -> None:
    line, carets = excerpt(fault(f"{before}wrong宽() right", "wrong宽()"))
    first, width = carets.index("^"), carets.count("^")
    position = line.index("wrong")
    assert columns(line[:position]) == first
    assert width == columns("wrong宽()")


def test_empty_span_has_one_caret() -> None:
    source = Source("spec.arch", "param x\n")
    line, carets = excerpt(Diagnostic("E0103", "t", Span(source, 7, 7), "ends"))
    assert (line, carets) == ("1 | param x", "  |        ^ ends")


def test_span_at_the_very_end() -> None:
    source = Source("spec.arch", "param x\n")
    assert "spec.arch:2:1" in render_text([Diagnostic("E0103", "t", Span(source, 8, 8), "ends")])


def test_span_of_several_lines_is_marked_to_the_end_of_the_first() -> None:
    source = Source("spec.arch", "residual {  \r\n    relu\r\n}\r\n")
    line, carets = excerpt(Diagnostic("E0507", "t", Span(source, 0, 24), "no"))
    assert (line, carets) == ("1 | residual {", "  | ^^^^^^^^^^ no")


def test_carriage_returns_are_not_shown() -> None:
    assert "\r" not in render_text([fault("a\r\nb c\r\n", "b")])


@pytest.mark.parametrize("text", ["", "  \n\n"])
def test_text_without_anything_has_no_excerpt(text: str) -> None:
    shown = render_text([Diagnostic("E0102", "empty", Span(Source("spec.arch", text), 0, 0), "nothing")])
    assert shown == "error[E0102]: empty\n --> spec.arch\n  = nothing\n\n1 error\n"


def test_long_line_is_cut_around_the_fault() -> None:
    line, carets = excerpt(fault("a" * 500 + "!wrong!" + "b" * 100_000, "!wrong!"))
    assert line.startswith("1 | …a")
    assert line.endswith("b…")
    assert columns(line) <= MAX_WIDTH + 10
    assert line[carets.index("^") : carets.rindex("^") + 1] == "!wrong!"


def test_fault_longer_than_the_window() -> None:
    _, carets = excerpt(fault("a" * 500 + "!" * 10_000, "!" * 10_000))
    assert carets.count("^") < MAX_WIDTH


def test_counts_and_blank_lines() -> None:
    two = [fault("a b", "a"), fault("a b", "b"), fault("a b", "a", code="W0101")]
    text = render_text(two)
    assert text.endswith("\n\n2 errors, 1 warning\n")
    assert "help: mend it\n\nerror[E0301]" in text
    assert render_text([]) == ""


def test_colour_adds_nothing_but_colour() -> None:
    found = [fault("a b", "b", Note("here", Span(Source("x", "y z"), 2, 3))), fault("a", "a", code="W0101")]
    coloured = render_text(found, color=True)
    assert "\x1b[1;31m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == render_text(found)


NASTY = "\u202e\u2066\u200b\x1b[2J\x07\x00\x9b\u2028\ud800\ufeff"


def test_nothing_that_a_terminal_obeys_is_shown_raw() -> None:
    span = Span(Source(f"spec{NASTY}.arch", f"a {NASTY} b"), 2, 5)
    one = Diagnostic("E0106", "t", span, f"found {NASTY}", (Note(f"n {NASTY}", span), Note(NASTY)), NASTY)
    text = render_text([one])
    assert all(c == "\n" or c.isprintable() for c in text)
    assert "<U+202E>" in text
    for renderer in (render_json, render_sarif):
        assert all(c == "\n" or c.isprintable() for c in renderer([one]))


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_json_offsets_slice_the_text() -> None:
    source = Source("spec.arch", "arch x\r\n宽\tparam e\u0301 = wrong\n")
    note = Note("there", at(source, "param").span)
    (one,) = json.loads(render_json([at(source, "wrong", note, Note("a remark"))]))
    place = one["range"]
    assert source.text[place["start"]["offset"] : place["end"]["offset"]] == "wrong"
    assert place["start"] == {"line": 2, "column": 14, "offset": 21}
    line = source.text.split("\n")[place["start"]["line"] - 1]
    assert line[place["start"]["column"] - 1 : place["end"]["column"] - 1] == "wrong"
    assert list(one) == ["code", "severity", "title", "message", "file", "range", "notes", "help"]
    assert (one["code"], one["severity"], one["message"], one["help"]) == ("E0301", "error", "wrong", "mend it")
    assert source.text[one["notes"][0]["range"]["start"]["offset"] :].startswith("param")
    assert one["notes"][1] == {"message": "a remark"}


def test_json_of_nothing_is_an_empty_list() -> None:
    assert json.loads(render_json([])) == []


# --- SARIF -----------------------------------------------------------------------------------------------------------


def sarif(*found: Diagnostic) -> dict[str, Any]:
    document = json.loads(render_sarif(found))
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    return run


def test_sarif_holds_what_hosts_need() -> None:
    source = Source("my specs/a.arch", "x\nconv(64, 7)")
    run = sarif(at(source, "7", Note("64", at(source, "64").span), Note("a remark")), at(source, "x", code="W0101"))
    assert run["tool"]["driver"]["name"] == "archdsl"
    assert run["columnKind"] == "unicodeCodePoints"
    rules = run["tool"]["driver"]["rules"]
    assert [r["id"] for r in rules] == ["E0301", "W0101"]
    assert rules[0]["shortDescription"]["text"] == TITLES["E0301"]
    assert rules[0]["help"]["text"]
    error, warning = run["results"]
    assert (error["level"], warning["level"]) == ("error", "warning")
    assert rules[warning["ruleIndex"]]["id"] == warning["ruleId"]
    assert "wrong" in error["message"]["text"]
    place = error["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "my%20specs/a.arch"
    region = place["region"]
    assert (region["startLine"], region["startColumn"], region["endLine"], region["endColumn"]) == (2, 10, 2, 11)
    assert source.text[region["charOffset"] :][: region["charLength"]] == "7"
    (related,) = error["relatedLocations"]
    assert related["message"]["text"] == "64"


def test_sarif_of_a_setting_lies_in_no_file() -> None:
    (result,) = sarif(fault("alpha=x", "x", name="--set"))["results"]
    assert result["locations"] == [{"logicalLocations": [{"fullyQualifiedName": "--set alpha=x"}]}]


def test_sarif_of_an_absolute_name_is_a_uri() -> None:
    (result,) = sarif(fault("x", "x", name="/tmp/ü.arch"))["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "file:///tmp/%C3%BC.arch"


# --- whatever a file holds -------------------------------------------------------------------------------------------

LETTERS = "{}[]()->=,.:*/%+|#\"'\\ \t\r\n0123456789abstx_\u00d7\u202e\x00é宽"
CHARACTERS = st.sampled_from([*LETTERS, "->", "**", "if ", "1e9"])


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """Delete, insert or replace a few characters of the spec."""
    text = SPEC.read_text("utf-8")
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        removed = draw(st.sampled_from([0, 0, 1, 1, 2, 5, 20]))
        text = text[:start] + "".join(draw(st.lists(CHARACTERS, max_size=2))) + text[start + removed :]
    return text


def check(text: str) -> None:
    source = Source(str(SPEC), text)
    try:
        found = analyse(source, FileLibrary()).warnings
    except SpecError as error:
        found = error.diagnostics
        assert found
    shown = render_text(found)
    assert all(c == "\n" or c.isprintable() for c in shown)
    for diagnostic in found:
        assert diagnostic.title == TITLES[diagnostic.code]
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(diagnostic.span.source.text)
    json.loads(render_json(found))
    json.loads(render_sarif(found))


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(mutations())
def test_no_spec_however_broken_raises_anything_else(text: str) -> None:
    check(text)


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(st.sampled_from(SPEC.read_text("utf-8").split(" ")), max_size=60).map(" ".join))
def test_no_heap_of_words_raises_anything_else(text: str) -> None:
    check("arch a\ninput clip: video[3, 8, 56, 56]\n" + text)


H = "arch slow\ninput clip: video[3, 8, 56, 56]\n"
DEEP = {
    "else if": H + "stage a { relu -> if off { relu } " + "else if off { relu } " * 2000 + "}",
    "else if of statements": H + "if off { let x = 1 } " + "else if off { let x = 1 } " * 2000,
    "parameters": H + "param " + ", ".join(f"p{i} = p{i + 1}" for i in range(400)) + ", p400 = 1",
    "blocks": H
    + "".join(f"block b{i}(w) {{ {'(if on { ' * 15}b{i + 1}(w){' })' * 15} }}\n" for i in range(40))
    + "block b40(w) { relu }\nstage a { b0(1) }",
    "not": H + "param x = " + "not " * 2000 + "on",
    "index": H + "param x = [1]" + "[0]" * 2000,
    "brackets": "[(" * 5000,
    "closers": ")" * 5000,
    "name": H + "stage a { " + "x" * 100_000 + " }",
    "lone surrogate": "arch \ud800",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
def test_depth_and_length_are_bounded(text: str) -> None:
    check(text)
