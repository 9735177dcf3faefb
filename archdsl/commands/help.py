"""`archdsl help`: the help of a command, or of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.commands.parser import find, overview, parser_of

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

EXAMPLES = (
    ("help", "List the commands."),
    ("help weights convert", "Show the options of a command."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="Command (default: all commands).")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl help`."""

    words: tuple[str, ...]


def run(options: Options) -> int:
    """Print the help of a command, or the list of commands."""
    words = options.words
    if len(words) == 1:
        words = (*words, "--help")  # of `weights` and others that have actions
    print(parser_of(find(words)).format_help() if words else overview(), end="")
    return 0
