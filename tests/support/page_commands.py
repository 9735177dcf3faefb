"""The commands on the pages of the documentation: README.md and docs/, run in order, page by page.

A page is a session in a folder of its own. Its fences are

    ```arch file=NAME      a file that the reader writes; also python, jinja, weights, and text
    ```console             commands behind `$`, with what they print; `…` stands for lines, or parts of one, left out
    ```sh                  commands without what they print
    ```python              run, all of a page in one namespace

with the options

    exit=1                 the exit code of the commands
    tested=records         run by `make records` only: it takes long
    tested=read            not run: it needs GPUs, the network or videos of the reader's own; its words are read

Commands other than `archdsl` are only read: a target of make is in the Makefile, a script in the repository.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from error_documents import Fence, fences
from repository import ROOT

from archdsl.commands.parser import find, parser_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SITE_PARTS = ("layers", "recipe", "budgets", "commands", "errors", "mistakes", "gallery")


@dataclass(frozen=True)
class Command:
    """A command, and the lines that it prints according to the page; None where the page does not show them."""

    words: list[str]
    shown: list[str] | None = None


def steps(page: Path) -> list[Fence]:
    """Return the fences of a page that a reader acts upon, in order."""
    kinds = ("console", "sh", "python")
    return [
        f
        for f in fences(page.read_text("utf-8"))
        if "file" in f.options or (f.kind in kinds and not {"excerpt", "example"} & f.options.keys())
    ]


def commands(fence: Fence) -> list[Command]:
    """Return the commands of a fence."""
    text = fence.text.replace("\\\n", " ")
    if fence.kind == "sh":
        return [Command(words) for line in text.splitlines() if (words := shlex.split(line, comments=True))]
    found: list[Command] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        found.append(Command(shlex.split(command, comments=True), shown.splitlines() if shown.strip() else None))
    return found


def run_on(page: Path) -> list[str]:
    """Return what the tests run on a page: the commands of `archdsl`, and `python`."""
    found: list[str] = []
    for fence in steps(page):
        if "file" in fence.options or not is_run(fence, records=False):
            continue
        words = [c.words for c in commands(fence)] if fence.kind != "python" else []
        found += ["python"] if fence.kind == "python" else [find(rest) for name, *rest in words if name == "archdsl"]
    return found


def is_run(fence: Fence, *, records: bool) -> bool:
    """Return True if a fence is run, in the tests or in the records."""
    return fence.options.get("tested") in ((None, "records") if records else (None,))


def read(words: list[str]) -> None:
    """Hold a command that is not run: its options are those of its parser, the files that it names are there."""
    program, *rest = words
    if program == "archdsl":
        name = find(rest)
        parser_of(name).read(rest[len(name.split()) :], dict)
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text("utf-8")
        targets = [w for w in rest if "=" not in w]
        assert all(re.search(rf"^{re.escape(t)}:", makefile, re.MULTILINE) for t in targets), words
    elif program.endswith("python"):
        scripts = [w for w in rest if w.endswith(".py") and "/" in w and not w.startswith("out/")]
        assert all((ROOT / w).exists() for w in scripts), words
    else:
        assert program in OTHER_PROGRAMS or program.startswith(".venv/bin/"), words


OTHER_PROGRAMS = ("cd", "export", "git", "pip", "torchrun", "srun", "pre-commit")


def read_inline(text: str) -> None:
    """Hold what a sentence calls a command: there is one of that name, with these options."""
    words = shlex.split(text)[1:]
    parser = parser_of(find(words))
    unknown = {w.split("=")[0] for w in words if w.startswith("-")} - set(parser.options())
    assert not unknown, (text, unknown)


class Reader(NamedTuple):
    """Somebody who does what a page says."""

    run: Callable[[list[str]], tuple[int, str]]  # a command behind `archdsl`: the exit code, and what is printed
    execute: Callable[[str], None]  # a piece of Python
    set_variable: Callable[[str, str], None]  # of the environment, for the commands that follow


def run_page(page: Path, folder: Path, reader: Reader, *, records: bool) -> int:
    """Do what a page says, in a folder; return the number of commands and pieces of Python that were run."""
    count = 0
    for fence in steps(page):
        if "file" in fence.options:
            file = folder / fence.options["file"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(fence.text, "utf-8")
        elif fence.kind != "python":
            count += sum(run_command(c, fence, reader, records=records) for c in commands(fence))
        elif is_run(fence, records=records):
            reader.execute(fence.text)
            count += 1
        else:
            compile(fence.text, str(page), "exec")
    return count


def run_command(command: Command, fence: Fence, reader: Reader, *, records: bool) -> bool:
    """Run a command, or read it; return True if it was run."""
    program, *words = command.words
    if program == "export":
        reader.set_variable(*words[0].split("=", 1))
    if program != "archdsl" or not is_run(fence, records=records):
        read(command.words)
        return False
    code, printed = reader.run(words)
    assert code == int(fence.options.get("exit", 0)), (command.words, printed)
    if command.shown is not None:
        compare(command.shown, printed)
    return True


def compare(shown: list[str], printed: str) -> None:
    """Compare the lines on a page with those that are printed, but for spaces and what `…` leaves out."""
    lines = iter(printed.splitlines())
    at_once = True
    for line in shown:
        if line == "…":
            at_once = False
            continue
        pattern = re.compile(r"\s+".join(re.escape(p) for p in line.split()).replace("…", ".*"))
        found: Any = next((p for p in lines if at_once or pattern.fullmatch(p.strip())), "")
        assert pattern.fullmatch(found.strip()), f"{line!r} is on the page, {found!r} is printed"
        at_once = True
    assert not at_once or next(lines, "") == "", "more is printed than the page shows"
