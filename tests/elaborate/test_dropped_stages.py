"""Stages that a variant leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository import ROOT

import archdsl
from archdsl.cli import main

BASE = """arch base
input clip: video[3, 4, 16, 16]
for i in 1..3 { stage res{i} { conv(4 * i, 3) -> relu } }
head: avgpool -> linear(5)
"""


@pytest.fixture(autouse=True)
def _base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base.arch").write_text(BASE, "utf-8")
    Path("short.arch").write_text("arch short extends base\ndrop stage res2\n", "utf-8")


def test_a_dropped_stage_is_gone_and_the_others_are_connected() -> None:
    # res1: 3·27·4 + 4, res3: 4·27·12 + 12, head: 12·5 + 5
    without_bias = 3 * 27 * 4 + 4 * 27 * 12 + 12 * 5 + 5
    arch = archdsl.load("short.arch")
    assert arch.params in {without_bias, without_bias + 4 + 12}
    assert {name.split(".")[0] for name in arch.build().state_dict()} == {"res1", "res3", "head"}


def test_a_variant_can_bring_a_dropped_stage_back() -> None:
    text = "arch again extends short\nstage res2 { conv(8, 3) -> relu }\n"
    assert archdsl.loads(text).params == archdsl.load("base.arch").params


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("drop stage res4", "the base has no stage `res4`"),
        ("drop stage res2", "the base has dropped `res2`"),
        ("drop stage res1\ndrop stage res1", "the stage `res1` is dropped a second time"),
        ("drop stage res1\nstage res1 { relu }", "a second stage `res1`"),
        ("stage res4 { relu }", "a variant adds no stages"),
    ],
)
def test_a_drop_without_an_effect_is_refused(line: str, message: str) -> None:
    with pytest.raises(archdsl.SpecError, match=message):
        archdsl.loads(f"arch again extends short\n{line}\n")


def test_only_a_variant_drops_stages() -> None:
    with pytest.raises(archdsl.SpecError, match="no base to drop a stage of"):
        archdsl.loads(BASE + "drop stage res1\n")


def test_a_library_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "resnet"]) == 0
    assert capsys.readouterr().out == (ROOT / "specs" / "lib" / "resnet.arch").read_text("utf-8")
