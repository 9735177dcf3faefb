"""Specs that once went wrong: the first line of each gives the expected outcome, the second the mistake.

works: `check` accepts it, and everything made of it is right. refused: there is an error. warned: there is a warning,
or an error. differs NAME: it is another network than that spec, or there is a warning, or an error. any: success or
diagnostics. Always: within the bounds of time, and for `any` of memory, too.

A case of several files has the others behind lines `# file: NAME.arch`.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from programs import Program
from programs.check import Texts, check
from programs.mutations import bounded, corpus
from repository import ROOT, TESTS

import archdsl
from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.lowering import without_identities
from archdsl.pipeline import Analysis, analyse
from archdsl.targets.dot.writer import diagram

if TYPE_CHECKING:
    from pathlib import Path

CASES = sorted((TESTS / "cases").glob("*.arch"))
SECONDS, MEMORY = 10.0, 2**30


def expected(path: Path) -> str:
    first = path.read_text("utf-8").split("\n", 1)[0]
    assert first.startswith("# expect: "), path
    return first.removeprefix("# expect: ")


def case_of(path: Path) -> Program:
    """The files of a case; the name of the first is that of its `arch`."""
    first, *others = path.read_text("utf-8").split("# file: ")
    header = re.search(r"^arch (\w+)(?:.* extends (\w+))?", first, re.MULTILINE)
    assert header is not None, path
    texts = {name.removesuffix(".arch"): text for name, _, text in (o.partition("\n") for o in others)}
    return Program(header[1], {**corpus(), **texts, header[1]: first}, header[2])


def analysed(case: Program) -> Analysis:
    return analyse(Source(f"{case.name}.arch", case.texts[case.name]), Texts(case.texts))


def of(*kinds: str) -> pytest.MarkDecorator:
    chosen = [p for p in CASES if expected(p).split()[0] in kinds]
    return pytest.mark.parametrize("path", chosen, ids=lambda p: p.stem)


def test_each_case_names_its_outcome() -> None:
    assert {expected(p).split()[0] for p in CASES} <= {"works", "refused", "warned", "differs", "any"}


@of("works")
def test_works(path: Path) -> None:
    with bounded(SECONDS):
        case = case_of(path)
        assert check(case, thorough=True, most=float("inf")) == "accepted"
        assert diagram(without_identities(analysed(case).network), "stage").picture("svg")


@of("refused")
def test_refused(path: Path) -> None:
    with bounded(SECONDS), pytest.raises(SpecError) as caught:
        analysed(case_of(path))
    assert any(d.is_error for d in caught.value.diagnostics)


@of("warned")
def test_warned(path: Path) -> None:
    with bounded(SECONDS):
        assert warnings_of(case_of(path)), "accepted without a word"


def warnings_of(case: Program) -> tuple[object, ...]:
    try:
        return analysed(case).warnings
    except SpecError as error:
        return tuple(error.diagnostics)


@of("differs")
def test_differs(path: Path) -> None:
    case, base = case_of(path), expected(path).split()[1]
    with bounded(SECONDS):
        if not warnings_of(case):
            other = analysed(Program(base, case.texts))
            assert archdsl.diff(archdsl.Architecture(other), archdsl.Architecture(analysed(case))).differ


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS) + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


@pytest.mark.skipif(sys.platform != "linux", reason="bounds of memory are Linux's")
@of("any")
def test_ends(path: Path, tmp_path: Path) -> None:
    """In processes of their own, which cannot take more than the bounds."""
    for command in (["check"], ["compile", "-o", str(tmp_path / "m.py")], ["cost"]):
        done = subprocess.run(
            [sys.executable, "-m", "archdsl", command[0], str(path), *command[1:]],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, timeout=90, check=False, preexec_fn=limit,
        )  # fmt: skip
        assert done.returncode in (0, 1), f"{command[0]}: {(done.stdout + done.stderr)[-500:]}"


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
