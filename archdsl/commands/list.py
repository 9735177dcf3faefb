"""`archdsl list`: the bundled specs, and the blocks of the bundled libraries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from archdsl.core.table import aligned
from archdsl.files import UsageError
from archdsl.resources import resource, spec_index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.commands.parser import Parser

EXAMPLES = (
    ("list", "List all bundled specs."),
    ("list --blocks", "List the blocks that specs can import."),
)
_MOST = 4  # parameters of a block in a line


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "pattern", nargs="?", metavar="PATTERN",
        help="Part of a name or of a description, or a pattern of names such as 'swin3d_*' (default: all).",
    )  # fmt: skip
    output = parser.group("output")
    output.add_argument(
        "--blocks", action="store_true", help="List the blocks of the bundled libraries in place of the specs."
    )
    output.add_argument("--json", action="store_true", help="Print JSON in place of a table.")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl list`."""

    pattern: str | None
    blocks: bool
    json: bool


def run(options: Options) -> int:
    """Print a line for each bundled spec, or for each block of the libraries."""
    pattern = options.pattern
    entries = list(_blocks()) if options.blocks else [{"name": n} | entry for n, entry in spec_index().items()]
    found = [entry for entry in entries if pattern is None or _matches(entry, pattern)]
    if not found:
        words = ("block of a library", " --blocks") if options.blocks else ("bundled spec", "")
        message = f"{pattern}: matches no name or description of a {words[0]}; `archdsl list{words[1]}` shows all"
        raise UsageError(message)
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    head = ("import", "block") if options.blocks else ("name", "parameters", "multiply-adds", "of a clip")
    lines = aligned([head, *map(_block_row if options.blocks else _row, found)], numbers=0 if options.blocks else 3)
    width = max(map(len, lines))
    texts = ["", *(entry["doc"] for entry in found)]
    print("\n".join(f"{line:<{width}}  {text}".rstrip() for line, text in zip(lines, texts, strict=True)))
    return 0


def _blocks() -> Iterator[dict[str, Any]]:
    """Yield the blocks of the bundled libraries: library, name, parameters as they are written, and first line."""
    from archdsl.files import read_source
    from archdsl.frontend import ast
    from archdsl.frontend.parse import parse

    for file in sorted((resource("specs") / "lib").glob("*.arch")):
        for block in parse(read_source(file)).statements:
            if isinstance(block, ast.Block):
                doc = block.doc.value.strip().partition("\n")[0] if block.doc is not None else ""
                parameters = [" ".join(p.span.text.split()) for p in block.parameters]
                needed = [p.name.id for p in block.parameters if p.default is None]
                yield {
                    "library": file.stem, "name": block.name.id, "doc": doc, "parameters": parameters, "needed": needed,
                }  # fmt: skip


def _matches(entry: dict[str, Any], pattern: str) -> bool:
    name, text = entry["name"], pattern.lower()
    words = (name, entry.get("library", ""), entry["doc"].lower())
    return fnmatchcase(name, text) or any(text in word for word in words)


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    clip = "×".join(map(str, entry["clip"]))
    return entry["name"], f"{entry['params'] / 1e6:.2f} M", f"{entry['macs'] / 1e9:.2f} G", clip


def _block_row(entry: dict[str, Any]) -> tuple[str, ...]:
    needed: list[str] = entry["needed"][:_MOST]
    more = [*needed, *(["…"] if len(entry["parameters"]) > len(needed) else [])]
    return entry["library"], f"{entry['name']}({', '.join(more)})"
