"""`archdsl fmt`: canonical formatting of specs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.commands.diagnostics import show_diagnostics
from archdsl.core.diagnostics import SpecError
from archdsl.core.source import STDIN
from archdsl.files import MAX_BYTES, UsageError, read_source, source_of, write_atomically
from archdsl.frontend.format import format_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.commands.parser import Parser


EXAMPLES = (
    ("fmt specs/", "Format all specs of a folder in place."),
    ("fmt --check --diff my_model.arch", "Show what would change, and write nothing."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH",
        help="Specs, or folders of specs; - formats standard input to standard output.",
    )  # fmt: skip
    output = parser.group("output")
    output.add_argument("--check", action="store_true", help="Write nothing; exit with 1 if a spec would change.")
    output.add_argument("--diff", action="store_true", help="Write nothing; show what would change.")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl fmt`."""

    paths: tuple[str, ...]
    check: bool = False
    diff: bool = False


def run(options: Options) -> int:
    """Format files in place, and all specs below folders; with `check` or `diff` only show what would change.

    Exit 1 if a file does not parse, or if one would change under `check` or `diff`.

    Raises:
        UsageError: if there is nothing to format at one of the paths.
    """
    if "-" in options.paths:
        return _format_input(options)
    return max([_format(path, options) for path in _files(options.paths)])


def _format_input(options: Options) -> int:
    """Format standard input to standard output."""
    if len(options.paths) > 1:
        raise UsageError("fmt -: cannot be combined with other paths")
    try:
        source = source_of(STDIN, sys.stdin.buffer.read(MAX_BYTES + 1))
        result = format_text(source.text, source.name)
    except SpecError as error:
        show_diagnostics(error.diagnostics)
        return 1
    if not options.check and not options.diff:
        print(result, end="")
        return 0
    changed = source.text != result
    if changed and options.diff:
        print(_difference(source.text, result, STDIN), end="")
    if changed and options.check:
        print(f"{STDIN}: would be reformatted")
    return int(changed)


def _format(path: Path, options: Options) -> int:
    try:
        source = read_source(path)
        result = format_text(source.text, source.name)
    except SpecError as error:
        show_diagnostics(error.diagnostics)
        return 1
    if path.read_bytes() == result.encode():
        return 0
    if options.diff:
        print(_difference(source.text, result, path), end="")
    if options.check:
        print(f"{path}: would be reformatted")
    if options.check or options.diff:
        return 1
    write_atomically(path.resolve(), result)  # a link stays one
    print(f"{path}: reformatted")
    return 0


def _files(paths: Sequence[str]) -> list[Path]:
    """Return the specs at some paths, each once.

    Raises:
        UsageError: if a path does not exist, or is a folder without specs.
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


def _difference(before: str, after: str, path: Path | str) -> str:
    """Return a unified diff, with a note for a removed byte order mark, which a diff does not show."""
    diff = unified_diff(_lines(before), _lines(after), str(path), str(path))
    return "".join(diff) or f"{path}: begins with a byte order mark\n"


def _lines(text: str) -> list[str]:
    *lines, last = text.split("\n")
    return [f"{line}\n" for line in lines] + ([f"{last}\n\\ No newline at end of file\n"] if last else [])
