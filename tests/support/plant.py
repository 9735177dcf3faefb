"""Plant each fault of tests/planted into a copy of the compiler, and count the random programs until one finds it.

With each program, attentions in lines are tried.

Whoever changes the compiler or the generator of programs plants them again: `make plant`, or `python
tests/support/plant.py NAME…`. A fault is a text file of edits, which do not say in which file they are made:

    # Stages of the head are numbered from 1.    (what is wrong, and where it shows)
    replace
        number = 0
        for stage in stages:
    by
        number = 1
        for stage in stages:

The lines behind `replace` stand in archdsl/ or templates/ exactly once, one behind the other, however they are indented
there; as few lines as make them unique. Those behind `by` are indented as they are in relation to the first of them.
A file has one such pair or more. Where code has changed so that lines are no longer found, the fault is written anew
for the code as it is; tests/test_planted.py names it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

from repository import ROOT, TESTS

PLANTED = TESTS / "planted"
EDITED = ("archdsl", "templates")  # folders that edits are made in
COPIED = (*EDITED, "specs")
MOST = 3000  # programs to try for one fault
ATTENTIONS = 3  # with each of them


@dataclass(frozen=True)
class Edit:
    """Lines that take the place of others."""

    old: list[str]
    new: list[str]


@dataclass(frozen=True)
class Fault:
    """A small mistake: its name, what is wrong, and the edits that make it."""

    name: str
    about: str
    edits: list[Edit]


class FaultError(Exception):
    """A fault that cannot be planted."""


def faults() -> list[Path]:
    """Return the files of the faults."""
    return sorted(PLANTED.glob("*.txt"))


def read(path: Path) -> Fault:
    """Read a fault.

    Raises:
        FaultError: if the file is not in the format that the module's docstring describes.
    """
    text = path.read_text("utf-8")
    about = re.match(r"(#[^\n]*\n)+", text)
    if about is None:
        raise FaultError(f"{path.name} does not begin with a line `# …` that says what is wrong")
    parts = re.split(r"^(replace|by)\n", text[about.end() :], flags=re.MULTILINE)
    before, words, blocks = parts[0], parts[1::2], [_lines(part) for part in parts[2::2]]
    if before.strip() or not words or words != ["replace", "by"] * (len(words) // 2) or not all(blocks[::2]):
        raise FaultError(f"{path.name}: expected `replace`, lines, `by`, lines behind the comment, once or more often")
    return Fault(path.stem, about[0], [Edit(*pair) for pair in zip(blocks[::2], blocks[1::2], strict=True)])


def _lines(block: str) -> list[str]:
    lines = dedent(block).strip("\n").split("\n")
    return lines if lines != [""] else []


def plant(fault: Fault, folder: Path) -> None:
    """Make the edits of a fault in the code below a folder.

    Raises:
        FaultError: if the lines of an edit are not found there exactly once.
    """
    found = [(*_place(fault, edit, folder), edit) for edit in fault.edits]
    for path, at, edit in sorted(found, key=lambda place: place[:2], reverse=True):
        lines = path.read_text("utf-8").split("\n")
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        lines[at : at + len(edit.old)] = [indent + line if line else "" for line in edit.new]
        path.write_text("\n".join(lines), "utf-8")


def _place(fault: Fault, edit: Edit, folder: Path) -> tuple[Path, int]:
    """Return the file and the line, counted from 0, at which the old lines of an edit begin."""
    places = [(path, at) for path in _files(folder) for at in _starts(edit, path)]
    if len(places) != 1:
        where = ", ".join(f"{path.relative_to(folder)}:{at + 1}" for path, at in places) or "nowhere"
        lines = "\n    ".join(edit.old)
        raise FaultError(f"{fault.name}: these lines must be found exactly once, and are found {where}:\n    {lines}")
    return places[0]


def _files(folder: Path) -> list[Path]:
    found = [path for part in EDITED for path in (folder / part).rglob("*") if path.is_file()]
    return sorted(path for path in found if "__pycache__" not in path.parts)


def _starts(edit: Edit, path: Path) -> list[int]:
    old = [line.strip() for line in edit.old]
    text = path.read_text("utf-8")
    if old[0] not in text:
        return []
    lines = [line.strip() for line in text.split("\n")]
    return [at for at in range(len(lines) - len(old) + 1) if lines[at : at + len(old)] == old]


def copied(to: Path) -> None:
    """Copy the compiler to a folder."""
    for part in COPIED:
        shutil.copytree(ROOT / part, to / part, ignore=shutil.ignore_patterns("__pycache__"))


def planted_and_sought(fault: Fault, first: int, most: int) -> str:
    """Return the seed and the message of the first program that finds a fault; nothing if none of `most` does.

    A program that fails without the fault, too, finds nothing.
    """
    with TemporaryDirectory() as name:
        copied(Path(name))
        plant(fault, Path(name))
        planted = {**os.environ, "PYTHONPATH": name, "OMP_NUM_THREADS": "1"}
        begin = first
        while begin < first + most:
            command = [sys.executable, str(Path(__file__)), "--seek", str(begin), "--most", str(first + most - begin)]
            done = subprocess.run(command, env=planted, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"error: {done.stderr.strip()[-300:]}"
            found = done.stdout.strip()
            if "NameError" in found:
                return f"error: the edit names what is not there any more: {found}"
            seed = re.search(r"\(seed (\d+)\)", found)
            if seed is None or not seek(int(seed[1]), 1):
                return found
            begin = int(seed[1]) + 1
    return ""


def seek(first: int, most: int) -> str:
    """Return the first fault that is found in the compiler as it is imported here."""
    from programs import attention, program
    from programs.attentions import check_attention
    from programs.check import check

    for seed in range(first, first + most):
        tried = [("attention", check_attention, attention(seed + k * MOST)) for k in range(ATTENTIONS)]
        for kind, run, case in [*tried, ("program", check, program(seed))]:
            try:
                run(case)
            except Exception as error:
                message = f"{type(error).__name__}: {error}".splitlines()[0]
                return f"{kind} {seed - first + 1} (seed {seed}): {message[:120]}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="faults to plant, by the names of their files (default: all)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first program")
    parser.add_argument("--most", type=int, default=MOST, help="programs to try for each fault")
    parser.add_argument("--seek", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.seek is not None:
        print(seek(arguments.seek, arguments.most))
        return 0
    known = {path.stem: path for path in faults()}
    if unknown := [name for name in arguments.names if name not in known]:
        parser.error(f"no such fault: {', '.join(unknown)}")
    chosen = [known[name] for name in arguments.names or known]
    missed = 0
    for path in chosen:
        try:
            found = planted_and_sought(read(path), arguments.first, arguments.most) or "NOT FOUND"
        except FaultError as error:
            found = f"error: {error}"
        missed += found == "NOT FOUND" or found.startswith("error")
        print(f"{path.stem}: {found}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} planted faults were found")
    return int(missed > 0 or not chosen)


if __name__ == "__main__":
    sys.exit(main())
