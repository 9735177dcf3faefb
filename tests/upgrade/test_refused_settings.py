"""Settings of version 0.1 in a spec of today: one error for each call, with the lines that stand for it."""

from __future__ import annotations

import json

import pytest

import archdsl
from archdsl.core.render_json import render_json
from archdsl.core.render_sarif import render_sarif

SPEC = """\
arch x
input clip: video[3, 4, 16, 16]
block b(n, window: list = [all, 4, 4]) {
    residual { layernorm -> attention(n, window = window, position = table) }
}
stage s { linear(8) -> b(2) * 2 -> attention(4, 16) }
head: avgpool -> linear(2)
"""
SHOWN = """\
error[E0406]: a setting of an earlier version
 --> <text>:4:59
  |
4 |     residual { layernorm -> attention(n, window = window, position = table) }
  |                                                           ^^^^^^^^^^^^^^^^ `position` is a line since version 0.2
note: in the block `b`, called here
 --> <text>:6:24
  |
6 | stage s { linear(8) -> b(2) * 2 -> attention(4, 16) }
  |                        ----
help: write this in its place:
  |
  | attention(n, window = window) {
  |     qkv: linear(in.channels)
  |     bias: table
  |     proj: linear(in.channels)
  | }

error[E0406]: a setting of an earlier version
 --> <text>:6:49
  |
6 | stage s { linear(8) -> b(2) * 2 -> attention(4, 16) }
  |                                                 ^^ `dim` is a line since version 0.2
help: write this in its place:
  |
  | attention(4) {
  |     qkv: linear(16)
  |     proj: linear(in.channels)
  | }

2 errors
"""


def refusal(text: str) -> archdsl.SpecError:
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.loads(text)
    return caught.value


def test_each_call_is_shown_with_its_lines() -> None:
    assert str(refusal(SPEC)) == SHOWN


def test_the_lines_are_data_for_editors() -> None:
    first = json.loads(render_json(refusal(SPEC).diagnostics))[0]
    [replacement] = first["replacements"]
    assert replacement["text"].startswith("attention(n, window = window) {\n    qkv: ")
    start, end = (replacement["range"][k]["offset"] for k in ("start", "end"))
    assert SPEC[start:end] == "attention(n, window = window, position = table)"


def test_the_lines_are_fixes_in_sarif() -> None:
    result = json.loads(render_sarif(refusal(SPEC).diagnostics))["runs"][0]["results"][0]
    [change] = result["fixes"][0]["artifactChanges"]
    [replacement] = change["replacements"]
    region = replacement["deletedRegion"]
    assert SPEC[region["charOffset"] :][: region["charLength"]].startswith("attention(n, window")
    assert replacement["insertedContent"]["text"].startswith("attention(n, window = window) {\n")


def test_a_block_that_is_needed_is_shown_too() -> None:
    spec = SPEC.replace("position = table", "pool = conv, kv_pool = 2").replace(", 16)", ")")
    [fault] = refusal(spec).diagnostics
    call, block = fault.replacements
    assert "kv: each_head { pool(2, 2, padding = valid) }" in call.text
    assert block.text.startswith("block pool(")
    assert block.span.start == block.span.end == spec.index("\nstage")


def test_settings_beside_lines() -> None:
    """Which lines they are is for the author to say."""
    lines = "attention(n, window = window, dim = 16) {\nqkv: linear(8)\nproj: linear(8)\n}"
    spec = SPEC.replace("attention(n, window = window, position = table)", lines).replace(", 16)", ")")
    [fault] = refusal(spec).diagnostics
    assert fault.label == "`dim` is a line since version 0.2"
    assert "archdsl explain E0406" in fault.help


def test_what_cannot_be_told_has_the_reason() -> None:
    spec = SPEC.replace("(n, window: list", "(n, kind = table, window: list").replace("= table)", "= kind)")
    fault = next(d for d in refusal(spec).diagnostics if d.code == "E0406")
    assert not fault.replacements
    assert "`kind: none | table | decomposed`" in fault.help


@pytest.mark.parametrize("call", ["attention(2)", "attention(2, over = time, dropout = 0.1)", "attention(heads = 2)"])
def test_arguments_of_today_are_none_of_these(call: str) -> None:
    spec = SPEC.replace("attention(n, window = window, position = table)", call).replace(", 16)", ")")
    assert archdsl.loads(spec).params > 0


def test_the_command_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("a b") / "x.arch"
    path.write_text(SPEC, "utf-8")
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(path)
    assert f"as `archdsl fmt --upgrade '{path}'` does" in caught.value.diagnostics[0].help
