"""`archdsl layers`: the vocabulary of layers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.commands.vocabulary_text import LINE_MEANINGS, arguments_of, default_text, type_text
from archdsl.core.table import aligned
from archdsl.elaborate.meanings import layer_meaning
from archdsl.files import UsageError
from archdsl.layers import vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.commands.parser import Parser
    from archdsl.layers.attributes import Attribute
    from archdsl.layers.base import Layer

EXAMPLES = (
    ("layers", "List all layers by category."),
    ("layers conv", "Show the attributes of a layer, with types and defaults."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="Layer to show (default: list all layers).")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl layers`."""

    name: str | None


def run(options: Options) -> int:
    """Print the layers by category, or one layer with its attributes."""
    known = {kind: cls for kind, cls in sorted(vocabulary().items()) if not cls.internal}
    if options.name is None:
        print("\n".join(_listed(known)))
        return 0
    if options.name not in known:
        hint, _ = layer_meaning(options.name, known, known)
        listing = "" if "`archdsl layers`" in hint else "; `archdsl layers` lists all"
        raise UsageError(f"{options.name}: no such layer; {hint}{listing}")
    print("\n".join(_shown(known[options.name])))
    return 0


def _listed(known: dict[str, type[Layer]]) -> list[str]:
    width = max(map(len, known))
    lines: list[str] = []
    for category in sorted({cls.category for cls in known.values()}):
        lines += [""] * bool(lines) + [f"{category}:"]
        own = ((kind, cls) for kind, cls in known.items() if cls.category == category)
        lines += [f"    {kind:{width}}  {_first_line(cls)}" for kind, cls in own]
    return lines


def _first_line(cls: Any) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def _shown(cls: type[Layer]) -> list[str]:
    """Return the name of a layer, its docstring, and a table of its attributes."""
    paragraphs = re.split(r"\n\s*\n", (cls.__doc__ or "").strip())
    lines = [f"{cls.kind} {{ …, … }}" if cls.many else cls.kind]
    for paragraph in paragraphs:
        lines += ["", *(line.strip() for line in paragraph.splitlines())]
    if attributes := arguments_of(cls):
        lines += ["", *_table(attributes)]
    if cls.takes_lines:
        lines += ["", f"In braces come lines, as in `{cls.kind}(8) {{ qkv: linear(64) }}`:", "", *_lines()]
    return lines


def _lines() -> list[str]:
    """Return the table of lines."""
    return [line.rstrip() for line in aligned([("line", "meaning"), *LINE_MEANINGS.items()], numbers=0)]


def _table(attributes: Mapping[str, Attribute[Any]]) -> list[str]:
    """Return a table of attributes with their types, defaults and meanings."""
    rows = [("attribute", "type", "default", "meaning")]
    for name, attribute in attributes.items():
        default = "required" if attribute.required else default_text(attribute).strip("`")
        rows.append((name, type_text(attribute).replace("`", ""), default, attribute.doc))
    return [line.rstrip() for line in aligned(rows, numbers=0)]
