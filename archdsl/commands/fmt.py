"""`archdsl fmt`: canonical formatting of specs, and their upgrade from earlier versions."""

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
    from archdsl.core.source import Source


EXAMPLES = (
    ("fmt --check --diff specs/", "Show what would change in a folder, and write nothing."),
    ("fmt --upgrade specs/", "Rewrite the settings of version 0.1 as lines of attention."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH",
        help="Specs, or folders of specs; - formats standard input to standard output.",
    )  # fmt: skip
    parser.group("formatting").add_argument(
        "--upgrade", action="store_true",
        help="Rewrite what version 0.1 wrote otherwise: settings of attention become its lines; all else stays.",
    )  # fmt: skip
    output = parser.group("output")
    output.add_argument("--check", action="store_true", help="Write nothing; exit with 1 if a spec would change.")
    output.add_argument("--diff", action="store_true", help="Write nothing; show what would change.")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl fmt`."""

    paths: tuple[str, ...]
    upgrade: bool = False
    check: bool = False
    diff: bool = False


def run(options: Options) -> int:
    """Format files in place, and all specs below folders; with `check` or `diff` only show what would change.

    Exit 1 if a file does not parse, if one would change under `check` or `diff`, or if a call cannot be upgraded.

    Raises:
        UsageError: if there is nothing to format at one of the paths.
    """
    if "-" in options.paths:
        return _format_input(options)
    return max([_format(path, options) for path in _files(options.paths)])


@dataclass(frozen=True)
class _Result:
    """The text of a file as it should be, and what is to be said of it."""

    text: str
    status: int = 0
    upgraded: int = 0  # calls

    def change(self, options: Options) -> str:
        """Return what has changed, in a word."""
        return "upgraded" if options.upgrade else "reformatted"


def _result(source: Source, options: Options) -> _Result | None:
    """Return a file in canonical form, after showing what is wrong with it; None if it does not parse."""
    try:
        if options.upgrade:
            return _upgraded(source)
        return _Result(format_text(source.text, source.name))
    except SpecError as error:
        show_diagnostics(error.diagnostics)
        return None


def _upgraded(source: Source) -> _Result:
    """Return a file with attentions in lines, after showing those that its author should look at.

    Raises:
        SpecError: if it does not parse.
    """
    from archdsl.upgrade.rewrite import rewritten

    found = rewritten(source)
    show_diagnostics(found.remarks)
    text = format_text(found.text, source.name) if found.number else source.text
    return _Result(text, int(bool(found.left)), found.number)


def _format_input(options: Options) -> int:
    """Format standard input to standard output."""
    if len(options.paths) > 1:
        raise UsageError("fmt -: cannot be combined with other paths")
    try:
        source = source_of(STDIN, sys.stdin.buffer.read(MAX_BYTES + 1))
    except SpecError as error:
        show_diagnostics(error.diagnostics)
        return 1
    result = _result(source, options)
    if result is None:
        return 1
    if not options.check and not options.diff:
        print(result.text, end="")
        return result.status
    changed = source.text != result.text
    if changed and options.diff:
        print(_difference(source.text, result.text, STDIN), end="")
    if changed and options.check:
        print(f"{STDIN}: would be {result.change(options)}")
    return int(changed) or result.status


def _format(path: Path, options: Options) -> int:
    try:
        source = read_source(path)
    except SpecError as error:
        show_diagnostics(error.diagnostics)
        return 1
    result = _result(source, options)
    if result is None:
        return 1
    if options.upgrade and not result.upgraded:
        print(f"{path}: nothing is upgraded" if result.status else f"{path}: nothing to upgrade")
        return result.status
    if path.read_bytes() == result.text.encode():
        return 0
    if options.diff:
        print(_difference(source.text, result.text, path), end="")
    if options.check:
        print(f"{path}: would be {result.change(options)}")
    if options.check or options.diff:
        return 1
    write_atomically(path.resolve(), result.text)  # a link stays one
    calls = f", {result.upgraded} {'call' if result.upgraded == 1 else 'calls'} in lines" if options.upgrade else ""
    print(f"{path}: {result.change(options)}{calls}")
    return result.status


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
