"""The words of the language, and which of them texts have: layers, their options, and the words that options take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.layers import vocabulary
from archdsl.layers.attributes import Flag, Initialiser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archdsl.layers.attributes import Attribute
    from archdsl.layers.base import Layer


def words() -> set[str]:
    """All that a text can have: `gelu`, `gelu.quick`, `swap.over = space`; no defaults."""
    found: set[str] = set()
    for kind, cls in vocabulary().items():
        if not cls.internal:
            found |= {kind, *(f"{kind}.{name}" for name in cls.attributes)}
            found |= {f"{kind}.{n} = {w}" for n, a in cls.attributes.items() for w in _chosen(a)}
    return found


def _chosen(attribute: Attribute[object]) -> Iterator[str]:
    """The words of an attribute but its default; how numbers begin is one fact for all layers."""
    if not isinstance(attribute, Flag | Initialiser):
        default = attribute.default
        yield from (word for word in attribute.words if word != default)


def used(texts: Iterable[str]) -> set[str]:
    """The words that texts have."""
    found: set[str] = set()
    known = {kind: cls for kind, cls in vocabulary().items() if not cls.internal}
    for text in texts:
        for match in re.finditer(r"[a-z_][a-z0-9_]*", text):
            if cls := known.get(match[0]):
                found.add(match[0])
                found.update(_used_by(cls, _arguments(text, match.end())))
    return found


def _used_by(cls: type[Layer], arguments: list[str]) -> Iterator[str]:
    names = list(cls.attributes)
    for at, argument in enumerate(arguments):
        name, is_named, value = argument.partition(" = ")
        if not is_named:
            name, value = names[at] if at < len(names) else "", argument
        if name in cls.attributes:
            yield f"{cls.kind}.{name}"
            given = set(re.findall(r"[a-z_0-9]+", value))
            yield from (f"{cls.kind}.{name} = {word}" for word in _chosen(cls.attributes[name]) if word in given)


def _arguments(text: str, at: int) -> list[str]:
    """What stands in the parentheses that begin at a place, if any do."""
    if text[at : at + 1] != "(":
        return []
    found, depth = [""], 0
    for letter in text[at:]:
        depth += (letter in "([") - (letter in ")]")
        if not depth:
            break
        if letter == "," and depth == 1:
            found.append("")
        else:
            found[-1] += letter
    found[0] = found[0][1:]
    return [argument.strip() for argument in found if argument.strip()]
