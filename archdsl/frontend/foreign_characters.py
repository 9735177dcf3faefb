"""Characters of other languages: what to write in their place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from archdsl.frontend.translate import chain_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.core.source import Source

_QUOTES = 'strings stand in "…"'
_MEANINGS = {
    "×": "sizes are written as a list, as in `[1, 7, 7]`; a product is `*`",
    "→": "layers are joined by `->`",
    "−": "a minus is `-`", "–": "a minus is `-`", "—": "a minus is `-`",
    "'": _QUOTES, "“": _QUOTES, "”": _QUOTES, "‘": _QUOTES, "’": _QUOTES, "„": _QUOTES, "«": _QUOTES, "`": _QUOTES,
    "&": "write `and`", "|": "write `or`", "!": "write `not`", "?": "write `a if test else b`",
    "^": "a power is written `a ** 2`",
    "≤": "write `<=`", "≥": "write `>=`", "≠": "write `!=`", "÷": "write `/`", "·": "a product is `*`",
    "\\": "leave it out: inside `( )` and `[ ]`, and before `->`, a line goes on by itself",
    "…": "write out what is left out, or a range `a..b`", "⇒": "a lateral is written with `=>`",
    "@": "there are no decorators", "$": "parameters are named without a sign",
}  # fmt: skip
_PARTNERS = {"'": "'", "“": "”", "‘": "’", "„": "“", "«": "»", "`": "`"}
_OUTSIDE = re.compile(r"(?<![=!<>])=(?!=)|[(,{\[]|\b(?:if|where|param|let)\b")  # what a value cannot go back over


class ForeignText(NamedTuple):
    """A part of a text that begins no token, and what to write in its place."""

    end: int
    hint: str


def foreign_text(source: Source, at: int) -> ForeignText:
    """Return what a character of another language is a part of, and the cure."""
    char = source.text[at]
    rule = _RULES.get(char)
    return (rule(source.text, at) if rule else None) or ForeignText(at + 1, _MEANINGS.get(char, ""))


def _quoted(text: str, at: int) -> ForeignText | None:
    """Recognise a string in other quotes: `'text'`, `'''text'''`."""
    mark = text[at]
    found = re.compile(r"'''(.*?)'''", re.DOTALL).match(text, at)
    found = found or re.compile(f"{mark}([^\\n{_PARTNERS[mark]}]*){_PARTNERS[mark]}").match(text, at)
    if found is None:
        return None
    inside = re.sub(r'(?<!\\)"', r"\"", found[1])
    marks = '"""' if "\n" in inside else '"'
    shown = f"{marks}{inside}{marks}" if "\n" not in inside else '"""…"""'
    return ForeignText(found.end(), f"strings stand in double quotes: `{shown}`")


def _not(text: str, at: int) -> ForeignText | None:
    found = re.compile(r"!\s*(\w+)").match(text, at)
    return ForeignText(at + 1, f"write `not {found[1]}`") if found else None


def _choice(text: str, at: int) -> ForeignText | None:
    """Recognise `test ? a : b`."""
    before = text[text.rfind("\n", 0, at) + 1 : at]
    start = max((m.end() for m in _OUTSIDE.finditer(before)), default=0)
    found = re.compile(r"\?\s*([^:\n]+?)\s*:\s*([^,)\]}\n]+)").match(text, at)
    if found is None:
        return None
    return ForeignText(at + 1, f"write `{found[1]} if {before[start:].strip()} else {found[2].strip()}`")


def _anchor(text: str, at: int) -> ForeignText | None:
    """Recognise an anchor of YAML: `width: &width 64`."""
    line = text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0]
    found = re.fullmatch(r"\s*(?:param\s+|let\s+)?(\w+)\s*[:=]\s*&\w+\s+(.*?)\s*", line)
    hint = f"a value has one name, for all that use it: `param {found[1]} = {found[2]}`" if found else ""
    return ForeignText(at + 1, hint) if found else None


def _semicolon(text: str, at: int) -> ForeignText | None:
    rest = text[at + 1 :].partition("\n")[0].strip()
    line = text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0]
    chain = _reassigned(line)
    if chain:
        return ForeignText(at + 1, f"values do not change; a chain goes on by `->`: `{chain}`")
    where = "leave it out" if not rest or rest[0] in "}#" else "begin a new line here"
    return ForeignText(at + 1, f"{where}: a line end separates statements")


def _reassigned(line: str) -> str:
    """Return `x = f(a); x = g(x)` as a chain; empty for other lines."""
    statements = line.partition("{")[2].rpartition("}")[0] if "{" in line else line
    given = [re.fullmatch(r"\s*(\w+)\s*=(?!=)\s*(.+?)\s*", part) for part in statements.split(";")]
    if len(given) < 2 or any(g is None or g[1] != (given[0] or g)[1] for g in given):
        return ""
    links: list[str] = []
    for found in given:
        called = re.sub(rf"\(\s*{found[1]}\s*\)$", "", found[2]) if found else ""
        links.append(chain_of(called) or called)
    return " -> ".join(links)


_RULES: dict[str, Callable[[str, int], ForeignText | None]] = {
    **dict.fromkeys(_PARTNERS, _quoted), "!": _not, "?": _choice, "&": _anchor, ";": _semicolon,
}  # fmt: skip
