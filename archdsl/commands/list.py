"""`archdsl list`: the bundled specs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from archdsl.core.table import aligned
from archdsl.files import UsageError
from archdsl.resources import spec_index

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

EXAMPLES = (
    ("list", "List all bundled specs."),
    ("list 'slowfast*' --json", "List the specs that match a pattern, as JSON."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "pattern", nargs="?", metavar="PATTERN",
        help="Part of a name or of a description, or a pattern of names such as 'swin3d_*' (default: all specs).",
    )  # fmt: skip
    parser.group("output").add_argument("--json", action="store_true", help="Print JSON in place of a table.")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl list`."""

    pattern: str | None
    json: bool


def run(options: Options) -> int:
    """Print name, clip, parameters, multiply-adds and one line of each bundled spec."""
    pattern = options.pattern
    found = [{"name": n} | entry for n, entry in spec_index().items() if pattern is None or _matches(n, entry, pattern)]
    if not found:
        raise UsageError(f"{pattern}: matches no name or description of a bundled spec; `archdsl list` shows all")
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    rows = [("name", "clip", "parameters", "multiply-adds"), *map(_row, found)]
    lines = aligned(rows, numbers=2)
    texts = ["", *(entry["doc"] for entry in found)]
    print("\n".join(f"{line}  {text}".rstrip() for line, text in zip(lines, texts, strict=True)))
    return 0


def _matches(name: str, entry: dict[str, Any], pattern: str) -> bool:
    text = pattern.lower()
    return fnmatchcase(name, text) or text in name or text in entry["doc"].lower()


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    clip = "×".join(map(str, entry["clip"]))
    return entry["name"], clip, f"{entry['params'] / 1e6:.2f} M", f"{entry['macs'] / 1e9:.2f} G"
