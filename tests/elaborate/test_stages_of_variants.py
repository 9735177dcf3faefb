"""Stages that a variant leaves out, freezes or adds."""

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
        ("stage res4 { relu }", "`stage res4 after NAME { … }` adds one"),
        ("stage a after res4 { relu }", "the base has no stage `res4`"),
        ("stage a after b { relu }\nstage b after a { relu }", "the base has no stage `b`"),
        ("stage res1 after res3 { relu }", "the base has a stage `res1`"),
        ("stage res3 after res1 { relu }", "the base has a stage `res3`"),
        ("stage a after res1 { relu }\nstage a after res3 { relu }", "a second stage `a`"),
        ("stage res4 frozen", "the base has no stage `res4`"),
        ("stage res2 frozen", "the base has dropped `res2`"),
        ("stage res1 frozen\nstage res1 { relu }", "a second stage `res1`"),
        ("drop stage res1\nstage res1 frozen if 1 < 2", "a second stage `res1`"),
        ("stage res1 frozen if i < 2", "`i`"),
    ],
)
def test_a_change_without_an_effect_is_refused(line: str, message: str) -> None:
    with pytest.raises(archdsl.SpecError, match=message):
        archdsl.loads(f"arch again extends short\n{line}\n")


def test_stages_are_added_in_the_order_of_data_flow() -> None:
    """Behind a stage of the base, a dropped one, and an added one; a spec with all of them is the same network."""
    lines = [
        "stage b after a frozen { conv(6, 3) }", "stage a after res2 { conv(5, 3) -> relu }",
        "stage c after res2 { bn }", "stage after after res3 { conv(7) }",
    ]  # fmt: skip
    added = archdsl.loads("\n".join(["arch more extends short", *lines, ""]))
    stages = [
        "stage res1 { conv(4, 3) -> relu }", "stage a { conv(5, 3) -> relu }", "stage b frozen { conv(6, 3) }",
        "stage c { bn }", "stage res3 { conv(12, 3) -> relu }", "stage after { conv(7) }",
    ]  # fmt: skip
    whole = archdsl.loads("\n".join([*BASE.splitlines()[:2], *stages, "head: avgpool -> linear(5)", ""]))
    assert list(added.build().state_dict()) == list(whole.build().state_dict())
    assert not archdsl.diff(whole, added).differ
    assert _frozen("\n".join(["arch more extends short", *lines, ""])) == {"b"}


def test_a_variant_of_a_variant_changes_what_that_adds() -> None:
    Path("more.arch").write_text(
        "arch more extends base\nstage a after res1 { conv(5) }\nstage b after a { bn }\n", "utf-8"
    )
    text = "arch last extends more\nstage a { conv(6) }\ndrop stage b\nstage c after b { conv(2) }\n"
    shapes = {name: tuple(t.shape[:2]) for name, t in archdsl.loads(text).build().state_dict().items() if t.ndim > 1}
    assert [*shapes.items()][1:4] == [
        ("a.conv.weight", (6, 4)),
        ("c.conv.weight", (2, 6)),
        ("res2.conv.weight", (8, 2)),
    ]


def test_weights_of_the_base_stay_where_a_stage_is_added() -> None:
    base = archdsl.load("base.arch")
    plan = archdsl.loads("arch more extends base\nstage a after res1 { conv(4, 3) }\n").plan_transfer(base)
    assert {e.name for e in plan.entries if e.how == "new"} == {"a.conv.weight"}


def test_a_root_adds_no_stages() -> None:
    with pytest.raises(archdsl.SpecError, match="a stage stands where it is written"):
        archdsl.loads(BASE.replace("head", "stage last after res3 { relu }\nhead"))


def test_only_a_variant_drops_stages() -> None:
    with pytest.raises(archdsl.SpecError, match="no base to drop a stage of"):
        archdsl.loads(BASE + "drop stage res1\n")


def _frozen(text: str) -> set[str]:
    """Return the stages whose weights take no gradients."""
    model = archdsl.loads(text).build().train()
    return {name.split(".")[0] for name, p in model.named_parameters() if not p.requires_grad}


def test_a_variant_freezes_stages_and_keeps_their_lines() -> None:
    text = "arch still extends base\nstage res1 frozen\nfor i in 2..3 { stage res{i} frozen if i < 3 }\n"
    assert _frozen(text) == {"res1", "res2"}
    arch = archdsl.loads(text)
    assert arch.params == archdsl.load("base.arch").params
    assert not arch.warnings


def test_the_nearest_variant_says_which_stages_are_frozen() -> None:
    Path("still.arch").write_text("arch still extends base\nstage res1 frozen\nstage res3 frozen\n", "utf-8")
    nearest = "param freeze = 2\nstage res1 frozen if freeze < 2\nstage res2 frozen if freeze > 1\n"
    assert _frozen(f"arch nearest extends still\n{nearest}") == {"res2", "res3"}
    replaced = archdsl.loads("arch replaced extends still\nstage res3 { conv(12, 3) -> relu }\n")
    assert [d.code for d in replaced.warnings] == ["W0106"]


def test_a_replaced_stage_is_frozen() -> None:
    Path("wide.arch").write_text("arch wide extends base\nstage res2 { conv(80, 3) -> relu }\n", "utf-8")
    arch = archdsl.loads(text := "arch still extends wide\nstage res2 frozen\n")
    assert arch.params == archdsl.load("wide.arch").params != archdsl.load("base.arch").params
    assert _frozen(text) == {"res2"}


def test_only_a_variant_freezes_without_lines() -> None:
    with pytest.raises(archdsl.SpecError, match="no base whose stage") as error:
        archdsl.loads(BASE.replace("head", "stage res4 frozen\nhead"))
    assert "stage res4 frozen { CHAIN }" in str(error.value)


def test_a_library_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "resnet"]) == 0
    assert capsys.readouterr().out == (ROOT / "specs" / "lib" / "resnet.arch").read_text("utf-8")
