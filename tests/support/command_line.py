"""The command line, called inside this process, and two specs for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archdsl.cli import main

if TYPE_CHECKING:
    import pytest

TINY = """\
arch tiny
param width = 8 where width > 0, classes = 5, keep = on, kind: a | b = a
input clip: video[3, 8, 32, 32]
stage conv1 { conv(width, 3, stride = 2, bias = keep) -> bn -> relu }
stage res2 { conv(width if kind == a else 2*width, 3) -> bn -> relu }
head: avgpool -> linear(classes)
"""
FAULTY = TINY.replace("relu }", "rellu }", 1)


class Ran(NamedTuple):
    """Exit code and output of a call of the command line."""

    code: int
    out: str
    err: str


class Shell:
    """Calls the command line inside this process; an exception that nothing catches fails the test."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Ran:
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as exit_:  # argparse
            code = exit_.code if isinstance(exit_.code, int) else 2
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return Ran(code, out, err)
