"""Support code of layers: functions and classes that templates define, each once, under a unique name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archdsl.targets.python.definitions import definitions, refitted, renamed
from archdsl.targets.python.tree import Verbatim
from archdsl.targets.torch.class_names import free_name, snake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.targets.python.definitions import Definition


class Wanted(NamedTuple):
    """Preferred names for the definitions of a layer."""

    main: str = ""  # the class of its module
    role: str = ""  # a word that stands before its name
    words: tuple[str, ...] = ()  # qualifiers to try where a name is taken

    def names(self, name: str) -> list[str]:
        """Return the names to try for a definition, the best first."""
        if not name[:1].isupper():
            return [name, *(f"{name}_of_{snake(word)}" for word in self.words)]
        plain = self.role + name
        qualified = [word + plain for word in self.words]
        return [plain, *qualified] if name == self.main else [name, plain, *qualified]


class Support:
    """Definitions collected from templates; one that differs from another of the same name is renamed."""

    def __init__(self) -> None:
        self.taken: set[str] = set()  # names that other classes of the module have
        self.names: set[str] = set()  # that the definitions read
        self._chosen: dict[str, tuple[str, str]] = {}  # by text: the name in it, and the name in the module

    def add(self, text: str, wanted: Wanted) -> dict[str, str]:
        """Keep the definitions in a text. Return the names that they have in the module, where these are others."""
        found = {d.name: d for d in definitions(text)}
        made: dict[str, tuple[str, str]] = {}
        for definition in found.values():
            self._choose(definition, found, made, wanted)
        for name, definition in found.items():
            code, chosen = made[name]
            self._chosen.setdefault(code, (name, chosen))
            self.names |= definition.names
        return {name: chosen for name, (_, chosen) in made.items() if chosen != name}

    def _choose(
        self, definition: Definition, found: dict[str, Definition], made: dict[str, tuple[str, str]], wanted: Wanted
    ) -> None:
        """Add the code of a definition and its name to those that are made, after the definitions that it reads."""
        if definition.name in made:
            return
        made[definition.name] = definition.text, definition.name  # what it reads may read it, too
        for name in found.keys() & definition.names - {definition.name}:
            self._choose(found[name], found, made, wanted)
        changed = {name: chosen for name, (_, chosen) in made.items() if chosen != name}
        code = renamed(definition.text, changed)
        known = self._chosen.get(code)
        made[definition.name] = code, known[1] if known is not None else self._free(wanted.names(definition.name))

    def _free(self, names: Sequence[str]) -> str:
        return free_name(names, {chosen for _, chosen in self._chosen.values()} | self.taken)

    def statements(self) -> Iterator[Verbatim]:
        """Yield the definitions under the names that they have in the module."""
        for text, (name, chosen) in self._chosen.items():
            yield Verbatim(refitted(renamed(text, {name: chosen} if chosen != name else {})))
