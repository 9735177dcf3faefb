"""Specs by name and from standard input, wherever a command takes a spec."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from command_line import FAULTY, TINY, Shell
from repository import ROOT

import archdsl
from archdsl.files import UsageError
from archdsl.resources import bundled_specs

# Every command that takes a spec, with what it prints or writes of one.
BY_NAME = [
    ("check", "c2d_r50"),
    ("cost", "c2d_r50", "--json"),
    ("compile", "c2d_r50"),
    ("compile", "c2d_r50", "--print", "ast"),
    ("draw", "c2d_r50", "-o", "c2d.dot"),
    ("diff", "c2d_r50", "i3d_r50", "--json"),
    ("plan", "c2d_r50", "--json"),
    ("weights", "sources", "c2d_r50"),
    ("weights", "plan", "resnet50", "c2d_r50", "--json"),
]


@pytest.mark.parametrize("words", BY_NAME, ids=" ".join)
def test_a_bundled_spec_is_known_by_name(shell: Shell, words: tuple[str, ...]) -> None:
    files = {"c2d_r50": "specs/c2d_r50.arch", "i3d_r50": "specs/i3d_r50.arch", "resnet50": "specs/images/resnet50.arch"}
    paths = [str(ROOT / files[word]) if word in files else word for word in words]
    by_path = shell(*paths, *(("-o", "other.py") if words == ("compile", "c2d_r50") else ()))
    by_name = shell(*words)
    assert by_path.code == by_name.code == 0, by_name.err
    for path, name in zip(paths, words, strict=True):
        by_path = by_path._replace(out=by_path.out.replace(path, name))
    if words[0] != "compile" or "--print" in words:
        assert by_name.out == by_path.out
    else:
        named, other = (Path(f).read_text("utf-8") for f in ("c2d_r50.py", "other.py"))
        assert named == other.replace(" -o other.py\n", "\n", 1)


def test_names_are_those_of_the_files() -> None:
    files = [*(ROOT / "specs").glob("*.arch"), *(ROOT / "specs" / "images").glob("*.arch")]
    names = bundled_specs()
    assert len(names) == len(files)  # no name stands for two
    assert {path.resolve() for path in names.values()} == {path.resolve() for path in files}


def test_a_file_of_the_name_wins(shell: Shell) -> None:
    Path("c2d_r50").write_text(TINY, "utf-8")
    assert json.loads(shell("cost", "c2d_r50", "--json").out)["arch"] == "tiny"
    Path("c2d_r50").unlink()
    Path("c2d_r50").mkdir()
    assert json.loads(shell("cost", "c2d_r50", "--json").out)["arch"] == "c2d_r50"


@pytest.mark.parametrize(
    ("name", "said"),
    [("slowfast_r5", "did you mean slowfast_r50"), ("tiny", "did you mean tiny.arch?"), ("qqqq", "`archdsl list`")],
)
def test_an_unknown_name_suggests(shell: Shell, name: str, said: str) -> None:
    ran = shell("check", name)
    assert ran.code == 2
    assert ran.err.startswith(f"archdsl: {name}: neither a file nor a bundled spec; ")
    assert said in ran.err


def test_a_name_with_a_suffix_that_is_no_file(shell: Shell) -> None:
    ran = shell("check", "slowfast_r50.arch")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean the bundled spec slowfast_r50?" in ran.err


def test_python_knows_the_names() -> None:
    assert (
        archdsl.load("slowfast_r50", classes=51).params
        == archdsl.load(ROOT / "specs" / "slowfast_r50.arch", classes=51).params
    )
    with pytest.raises(UsageError, match="did you mean slowfast_r50"):
        archdsl.load("slowfast_r5")


# --- standard input -------------------------------------------------------------------------------------------------


def given(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let a text stand on standard input."""
    from archdsl.commands.common import _standard_input

    _standard_input.cache_clear()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


@pytest.mark.parametrize(
    "words",
    [("check", "-"), ("cost", "-"), ("draw", "-", "-o", "x.dot"), ("diff", "-", "--set", "width=16"), ("plan", "-")],
    ids=lambda w: w[0],
)
def test_a_spec_from_standard_input(shell: Shell, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, TINY)
    ran = shell(*words)
    assert ran.code == 0, ran.err
    given(monkeypatch, FAULTY)
    ran = shell(*words)
    assert ran.code == 1
    assert " --> <stdin>:4:" in ran.err


def test_compile_from_standard_input(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, TINY)
    assert shell("compile", "-").code == 0
    assert "#     archdsl compile -\n" in Path("tiny.py").read_text("utf-8")
    given(monkeypatch, TINY)
    assert shell("compile", "-", "--check").code == 0


def test_fmt_from_standard_input(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("fmt", "tiny.arch")
    formatted = Path("tiny.arch").read_text("utf-8")
    given(monkeypatch, TINY.replace(" -> ", "->"))
    ran = shell("fmt", "-")
    assert (ran.code, ran.out) == (0, formatted)
    given(monkeypatch, TINY.replace(" -> ", "->"))
    ran = shell("fmt", "-", "--check")
    assert (ran.code, ran.out) == (1, "<stdin>: would be reformatted\n")
    given(monkeypatch, formatted)
    assert shell("fmt", "--check", "--diff", "-") == (0, "", "")
    given(monkeypatch, "arch (\n")
    assert shell("fmt", "-").code == 1


def test_training_needs_a_file(shell: Shell) -> None:
    pytest.importorskip("lightning")
    ran = shell("train", "-", "--data", "videos")
    assert ran.code == 2
    assert "save it to a file" in ran.err


def test_a_picture_taller_than_a_page_names_what_makes_it_smaller(shell: Shell) -> None:
    """Options that are chosen already are not among them."""
    words = ("draw", "slowfast_r50", "--width", "237pt", "-o", "x.svg")
    assert "smaller with `--no-costs`, `--no-title`, `--only STAGE`" in shell(*words).err
    assert "smaller with `--no-title`, `--only STAGE`" in shell(*words, "--no-costs").err
    assert "taller" not in shell(*words, "--no-costs", "--only", "res2", "--only", "res3").err
