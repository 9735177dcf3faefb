"""Exit codes: 1 for a fault of a spec, data, weights, the environment or an added layer; 2: wrong use; 3: a defect.

Each command is given each kind of fault that can reach it. `Shell` fails a test where a traceback is printed.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from command_line import FAULTY, TINY, Shell
from repository import ROOT

import archdsl.commands.check as check_command
from archdsl.files import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec

SPEC, DATA, ENVIRONMENT = "error[", "archdsl: data: ", "archdsl: environment: "
# Every command that reads a spec, with what it needs beside it.
OF_A_SPEC = [
    ("check", "{}"), ("cost", "{}"), ("compile", "{}"), ("draw", "{}", "-o", "out.svg"), ("plan", "{}"),
    ("diff", "{}"), ("fmt", "--check", "{}"), ("export", "{}", "-o", "out.pt2"), ("train", "{}", "--data", "videos"),
    ("data", "check", "videos", "--spec", "{}"), ("weights", "sources", "{}"), ("weights", "plan", "{}"),
    ("weights", "transfer", "{}", "in.pth", "-o", "out.safetensors"),
    ("weights", "convert", "{}", "in.pth", "--from", "archdsl", "-o", "out.safetensors"),
]  # fmt: skip
of_a_spec = pytest.mark.parametrize("command", OF_A_SPEC, ids=lambda c: "-".join(p for p in c if p.isalpha()))
# Every command that writes a file of its own.
WRITERS = [("compile", "tiny.arch", "-o", "{}.py"), ("draw", "tiny.arch", "-o", "{}.dot")]
writers = pytest.mark.parametrize("command", WRITERS, ids=lambda c: c[0])


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The command line, in a folder that holds a spec without faults and one that does not parse."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.arch").write_text(TINY, "utf-8")
    Path("faulty.arch").write_text(FAULTY.replace("arch tiny", "arch tiny {"), "utf-8")
    return Shell(capsys)


def _filled(command: tuple[str, ...], name: str) -> list[str]:
    return [part.format(name) for part in command]


# --- 1: specs ---------------------------------------------------------------------------------------------------------


@of_a_spec
def test_a_fault_of_the_spec_is_1(shell: Shell, command: tuple[str, ...]) -> None:
    ran = shell(*_filled(command, "faulty.arch"))
    assert ran.code == 1
    assert ran.err.startswith(SPEC)


# --- 2: wrong use -----------------------------------------------------------------------------------------------------


@of_a_spec
@pytest.mark.parametrize("name", ["none.arch", "nowhere/none.arch", "tiny.arch/x.arch", "", "x" * 5000])
def test_a_wrong_path_is_2(shell: Shell, command: tuple[str, ...], name: str) -> None:
    ran = shell(*_filled(command, name))
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "archdsl: " in ran.err


@pytest.mark.parametrize("command", [c for c in OF_A_SPEC if c[0] != "fmt"], ids=lambda c: c[0])
def test_a_folder_for_a_spec_is_2(shell: Shell, command: tuple[str, ...]) -> None:
    Path("folder").mkdir()
    assert shell(*_filled(command, "folder")).code == 2


@writers
@pytest.mark.parametrize("name", ["tiny.arch/out", "x" * 5000], ids=["below a file", "too long"])
def test_a_wrong_path_to_write_is_2(shell: Shell, command: tuple[str, ...], name: str) -> None:
    ran = shell(*_filled(command, name))
    assert ran.code == 2
    assert ran.err.count("\n") == 1


# --- 1: the environment -----------------------------------------------------------------------------------------------


@writers
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO, errno.EDQUOT])
def test_a_disk_that_takes_nothing_is_1(
    shell: Shell, command: tuple[str, ...], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    ran = shell(*_filled(command, "out"))
    assert ran.code == 1
    assert ran.err.startswith(ENVIRONMENT + "out")
    assert os.strerror(number) in ran.err
    assert sorted(p.name for p in Path().iterdir()) == ["faulty.arch", "tiny.arch"]


@of_a_spec
def test_a_spec_without_permission_is_1(
    shell: Shell, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: str | Path, flags: int, *rest: int) -> int:
        if str(path).endswith("tiny.arch"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    ran = shell(*_filled(command, "tiny.arch"))
    assert ran.code == 1
    assert ran.err.startswith(ENVIRONMENT)


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ("torch", ("weights", "convert", "tiny.arch", "in.pth", "--from", "archdsl", "-o", "out.safetensors")),
        ("safetensors", ("export", "tiny.arch", "-o", "out.pt2")),
        ("onnx", ("export", "tiny.arch", "-o", "out.onnx")),
        ("lightning", ("train", "tiny.arch", "--data", "videos")),
        ("lightning", ("eval",)),
        ("av", ("predict", "clip.mp4")),
        ("av", ("data", "check", "videos")),
    ],
)
def test_a_package_that_is_missing_is_1(
    shell: Shell, package: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec

    def find(name: str) -> ModuleSpec | None:
        return None if name == package else found(name)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setattr("archdsl.commands.export.find_spec", find)
    ran = shell(*command)
    assert ran.code == 1
    assert ran.err.startswith(ENVIRONMENT)
    assert "pip install" in ran.err


def test_no_graphviz_is_1(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    ran = shell("draw", "tiny.arch", "-o", "out.svg")
    assert ran.code == 1
    assert ran.err.startswith(ENVIRONMENT + "out.svg: ")


def _in_check(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let `archdsl check` end in an exception."""

    def fail(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(check_command, "analysed", fail)


def test_no_memory_is_1(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    _in_check(monkeypatch, MemoryError())
    ran = shell("check", "tiny.arch")
    assert ran.code == 1
    assert ran.err.startswith(ENVIRONMENT)


def test_an_interrupted_command_is_130(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    _in_check(monkeypatch, KeyboardInterrupt())
    ran = shell("check", "tiny.arch")
    assert (ran.code, ran.out, ran.err) == (130, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("command", ["check", "cost"])
def test_a_full_disk_behind_the_output_is_1(tmp_path: Path, command: str) -> None:
    ran = _process(tmp_path, command, stdout=os.open("/dev/full", os.O_WRONLY))
    assert ran.returncode == 1
    assert ran.stderr.decode() == ENVIRONMENT + "output: No space left on device\n"


def test_an_output_that_is_closed(tmp_path: Path) -> None:
    def close() -> None:
        os.close(1)

    ran = _process(tmp_path, "cost", preexec_fn=close)
    assert (ran.returncode, ran.stderr) == (0, b"")


def _process(
    folder: Path, command: str, stdout: int = subprocess.DEVNULL, preexec_fn: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[bytes]:
    (folder / "tiny.arch").write_text(TINY)
    return subprocess.run(
        [sys.executable, "-m", "archdsl", command, "tiny.arch"], cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=stdout, stderr=subprocess.PIPE, preexec_fn=preexec_fn, timeout=120, check=False,
    )  # fmt: skip


# --- 1: data, weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "a.mp4 0\nb.mp4\n", "a.mp4 1\nb.mp4 -1\n", "\0", "a.mp4 0\n"], ids=lambda t: repr(t)[:20]
)
def test_a_faulty_list_of_videos_is_1(shell: Shell, text: str) -> None:
    Path("list.txt").write_text(text)
    Path("a.mp4").touch()
    ran = shell("data", "check", "list.txt")
    assert ran.code == 1
    assert ran.err.startswith(DATA + "list.txt")


def test_a_damaged_run_is_1(shell: Shell) -> None:
    Path("run").mkdir()
    for text in ("{", json.dumps({"name": "tiny"})):
        Path("run/run.json").write_text(text)
        ran = shell("predict", "x.mp4", "--run", "run")
        assert ran.code == 1
        assert ran.err.startswith(DATA + "run/run.json: ")


DAMAGED = {"empty": b"", "cut": b"PK\x03\x04", "code": b"\x80\x02c__builtin__\neval\n."}
READERS = [*OF_A_SPEC[-2:], ("export", "{}", "--weights", "in.pth", "-o", "o.pt2")]


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("command", READERS, ids=lambda c: "-".join(c[:2]))
def test_a_damaged_checkpoint_is_1(shell: Shell, command: tuple[str, ...], content: bytes) -> None:
    Path("in.pth").write_bytes(content)
    ran = shell(*_filled(command, "tiny.arch"))
    assert ran.code == 1
    assert re.match(r"error\[E08\d\d\]: .*\n +--> in\.pth\n", ran.err)


# --- 3: a defect ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("odd"), KeyError(""), AssertionError(), RecursionError("deep")])
def test_a_defect_is_3_and_leaves_a_report(
    shell: Shell, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _in_check(monkeypatch, error)
    ran = shell("check", "tiny.arch", "--set", "width=9")
    assert ran.code == 3
    first, second = ran.err.splitlines()
    assert first == f"archdsl: a defect of archdsl itself, not of your input: {type(error).__name__}: {error}"
    name = re.match(r"(\S+\.txt) holds what a report needs; please file it", second)
    assert name is not None
    report = Path(name[1]).read_text("utf-8")
    assert "archdsl check tiny.arch --set width=9\n" in report
    assert "Traceback (most recent call last)" in report
    assert "in _in_check" not in report.splitlines()[0]
    assert f"{type(error).__name__}" in report.splitlines()[-1]


def test_a_defect_where_no_file_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from archdsl.cli import main

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    _in_check(monkeypatch, RuntimeError("odd"))
    assert main(["check", "tiny.arch"]) == 3
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.endswith("please file it, with the spec, where archdsl comes from\n")


def test_every_fault_that_is_named_has_the_exit_code_of_its_kind() -> None:
    """No class of faults gets another exit code than those that are documented."""
    for module in ("export", "run"):  # they have kinds of their own
        importlib.import_module(f"archdsl.train.{module}")

    def kinds(cls: type[CommandError]) -> list[type[CommandError]]:
        return [cls, *(k for sub in cls.__subclasses__() for k in kinds(sub))]

    others = {"UsageError": 2, "Terminated": 128 + signal.SIGTERM, "Interrupted": 128 + signal.SIGINT}
    for cls in kinds(CommandError):
        assert cls.exit_code == others.get(cls.__name__, 1)
        assert bool(cls.kind) == (cls.__name__ not in {"CommandError", *others})
