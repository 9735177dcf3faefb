"""`archdsl fmt`: specs in canonical form."""

from __future__ import annotations

import sys
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import SpecError
from archdsl.core.render import render_text
from archdsl.files import UsageError, read_source, write_atomically
from archdsl.frontend.format import format_text

if TYPE_CHECKING:
    import argparse


def command(arguments: argparse.Namespace) -> int:
    """Formats what the command line names."""
    return run(arguments.paths, check=arguments.check, diff=arguments.diff)


def run(paths: list[str], check: bool, diff: bool) -> int:
    """Formats files, and all specs below directories, in place; with `check` or `diff` only shows what would change.

    Exit 1 if a file does not parse, or if one would change under `check` or `diff`.

    Raises:
        UsageError: if there is nothing to format at one of the paths.
    """
    code = 0
    for path in _files(paths):
        try:
            source = read_source(path)
            result = format_text(source.text, source.name)
        except SpecError as error:
            print(render_text(error.diagnostics, color=sys.stderr.isatty()), end="", file=sys.stderr)
            code = 1
            continue
        if path.read_bytes() == result.encode():
            continue
        if diff:
            print(_difference(source.text, result, path), end="")
        if check:
            print(f"{path}: would be reformatted")
        if check or diff:
            code = 1
        else:
            write_atomically(path.resolve(), result)  # a link stays one
            print(f"{path}: reformatted")
    return code


def _files(paths: list[str]) -> list[Path]:
    """The specs at some paths, each once.

    Raises:
        UsageError: if a path is not there or holds no spec.
    """
    found: dict[Path, None] = {}
    for name in paths:
        path = Path(name)
        if not name or not path.is_dir():
            if not name or not path.exists():
                read_source(name)  # says what is wrong
            found[path] = None
            continue
        below = sorted(p for p in path.rglob("*.arch") if p.is_file())
        if not below:
            message = f"{name}: no .arch files in this directory"
            raise UsageError(message)
        found.update(dict.fromkeys(below))
    return list(found)


def _difference(before: str, after: str, path: Path) -> str:
    """A unified diff; the only change that it cannot show is said in words."""
    diff = unified_diff(_lines(before), _lines(after), f"{path}", f"{path}")
    return "".join(diff) or f"{path}: begins with a byte order mark\n"


def _lines(text: str) -> list[str]:
    *lines, last = text.split("\n")
    return [f"{line}\n" for line in lines] + ([f"{last}\n\\ No newline at end of file\n"] if last else [])
