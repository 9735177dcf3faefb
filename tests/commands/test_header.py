"""The command in the first lines of a module writes the same file again, in the folder where it was compiled."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from archdsl.cli import main

SPEC = """arch net
param classes = 5
input clip: video[3, 4, 16, 16]
stage stem { conv(8, 3) -> bn -> relu -> dropout(0.5) }
head: avgpool -> linear(classes)
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("of mine").mkdir()
    Path("of mine", "net.arch").write_text(SPEC, "utf-8")


@pytest.mark.parametrize(
    ("options", "file"),
    [
        (["r3d_18"], "r3d_18.py"),
        (["r3d_18", "-o", "out"], "out/r3d_18.py"),
        (["r3d_18", "--set", "classes=7", "--target", "infer"], "r3d_18_infer.py"),
        (["resnet50", "-o", "image net.py"], "image net.py"),
        (["of mine/net.arch"], "of mine/net.py"),
        (["of mine/net.arch", "-o", "of mine/other.py", "--clip", "3x8x16x16"], "of mine/other.py"),
        (["of mine/net.arch", "--no-pass", "inplace", "--max-activation", "1MB", "--batch", "2"], "of mine/net.py"),
    ],
    ids=str,
)
def test_the_command_of_the_header_writes_the_file_again(options: list[str], file: str) -> None:
    Path("out").mkdir()
    assert main(["compile", *options]) == 0
    text = Path(file).read_text("utf-8")
    command = shlex.split(text.splitlines()[1].removeprefix("#"))
    assert command[0] == "archdsl"
    Path(file).unlink()
    assert main(command[1:]) == 0
    assert Path(file).read_text("utf-8") == text


def test_a_check_does_not_depend_on_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["compile", "of mine/net.arch"]) == 0
    monkeypatch.chdir("of mine")
    assert main(["compile", "net.arch", "--check"]) == 0
    assert main(["compile", "net.arch", "--check", "--set", "classes=7"]) == 1
