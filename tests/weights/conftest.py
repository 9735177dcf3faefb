"""The command line in a folder that holds a small network and a map for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from command_line import Shell
from mapped import MAP, NET, SOURCE

import archdsl

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl import Architecture


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The command line, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spec with a map."""
    (tmp_path / "net.arch").write_text(NET)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "theirs.weights").write_text(MAP)
    return tmp_path


@pytest.fixture
def arch(folder: Path) -> Architecture:
    return archdsl.load(folder / "net.arch", like=SOURCE)
