"""Each command with each of its options given a wrong value: the message names the option, and no usage buries it."""

from __future__ import annotations

import pytest

from archdsl.cli import main
from archdsl.commands import SUMMARIES
from archdsl.commands.parser import load, parser_of

OPTIONS = [
    (name, option)
    for name in SUMMARIES
    for option, action in parser_of(name).options().items()
    if option.startswith("--") and (action.choices or action.type not in {None, str}) and action.nargs != 0
]


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    with pytest.raises(SystemExit) as end:
        main(words)
    code = end.value.code
    return code if isinstance(code, int) else 1, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_value(name: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = run([*name.split(), option, "?!"], capsys)
    assert code == 2
    assert len(lines) == 2, lines
    assert option in lines[-1]


def test_an_option_of_one_value_is_not_given_twice(capsys: pytest.CaptureFixture[str]) -> None:
    tried = 0
    for name in SUMMARIES:
        for option, action in parser_of(name).options().items():
            if (
                option.startswith("--")
                and type(action).__name__ == "_Once"
                and action.type is None
                and not action.choices
            ):
                code, lines = run([*name.split(), option, "this", option, "that"], capsys)
                assert (code, lines[-1]) == (
                    2,
                    f"archdsl {name}: error: argument {option}: given twice, as this and that; keep one",
                )
                tried += 1
    assert tried > 20


def test_the_same_value_may_be_given_twice() -> None:
    options = parser_of("cost").read(["a.arch", "--format", "json", "--format", "json"], load("cost").Options)
    assert options.format == "json"


@pytest.mark.parametrize("name", SUMMARIES)
def test_unknown_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = run([*name.split(), "--no-such-option"], capsys)
    assert code == 2
    assert f"archdsl help {name}" in lines[0]
    assert lines[-1].startswith(f"archdsl {name}: error: no option --no-such-option")


def test_explain_lists_the_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert "E0501  the channels do not agree" in capsys.readouterr().out


def test_a_missing_gpu_is_found_before_videos_are_made(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    made: list[object] = []
    monkeypatch.setattr("archdsl.train.synthetic.make", lambda *a: made.append(a))
    assert main(["train", "slow_r50", "--data", "synthetic", "--device", "cuda"]) == 1
    assert "--device cuda: torch finds no GPU" in capsys.readouterr().err
    assert not made
