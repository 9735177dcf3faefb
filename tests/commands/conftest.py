"""A command line for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import FAULTY, TINY, Shell


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The command line, in a folder that holds a spec without faults and one with a fault."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.arch").write_text(TINY, "utf-8")
    Path("faulty.arch").write_text(FAULTY, "utf-8")
    return Shell(capsys)
