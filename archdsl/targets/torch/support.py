"""Functions and classes that the code of layers needs besides, each once, under names that nothing else has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.targets.python.definitions import definitions, refitted, renamed
from archdsl.targets.python.tree import Verbatim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.targets.python.definitions import Definition


class Support:
    """Gathers definitions from the text of templates. Where one differs from another of its name, it gets a number."""

    def __init__(self) -> None:
        self.taken: set[str] = set()  # names that other classes of the module have
        self.names: set[str] = set()  # that the definitions read
        self._chosen: dict[str, tuple[str, str]] = {}  # by text: the name in it, and the name in the module

    def add(self, text: str) -> dict[str, str]:
        """Keep the definitions in a text. Return the names that they have in the module, where these are others."""
        found = {d.name: d for d in definitions(text)}
        made: dict[str, tuple[str, str]] = {}
        for definition in found.values():
            self._choose(definition, found, made)
        for name, definition in found.items():
            code, chosen = made[name]
            self._chosen.setdefault(code, (name, chosen))
            self.names |= definition.names
        return {name: chosen for name, (_, chosen) in made.items() if chosen != name}

    def _choose(self, definition: Definition, found: dict[str, Definition], made: dict[str, tuple[str, str]]) -> None:
        """Add the code of a definition and its name to those that are made, after the definitions that it reads."""
        if definition.name in made:
            return
        made[definition.name] = definition.text, definition.name  # what it reads may read it, too
        for name in found.keys() & definition.names - {definition.name}:
            self._choose(found[name], found, made)
        changed = {name: chosen for name, (_, chosen) in made.items() if chosen != name}
        code = renamed(definition.text, changed)
        known = self._chosen.get(code)
        made[definition.name] = code, known[1] if known is not None else self._free(definition.name)

    def _free(self, name: str) -> str:
        used = {chosen for _, chosen in self._chosen.values()} | self.taken
        return next(n for n in (name, *(f"{name}{i}" for i in range(2, 1000))) if n not in used)

    def statements(self) -> Iterator[Verbatim]:
        """Yield the definitions under the names that they have in the module."""
        for text, (name, chosen) in self._chosen.items():
            yield Verbatim(refitted(renamed(text, {name: chosen} if chosen != name else {})))
