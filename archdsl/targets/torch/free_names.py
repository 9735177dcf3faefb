"""Free names: a wanted one, or the first of those numbered from 2 that nothing else has."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class FreeNames:
    """Allocator of unique names; names are never released, so that a search resumes where the last one ended."""

    def __init__(self, taken: Iterable[str] = (), may_be: Callable[[str], bool] = lambda _: True) -> None:
        self.taken = set(taken)
        self.may_be = may_be
        self._numbers: dict[str, int] = {}  # by name: the last number that was tried

    def take(self, *wanted: str) -> str:
        """Return the first of the wanted names that is free, or else the first of them with a number."""
        name = next(n for n in chain(wanted, self._numbered(wanted[0])) if n not in self.taken and self.may_be(n))
        self.taken.add(name)
        return name

    def _numbered(self, base: str) -> Iterable[str]:
        while True:
            self._numbers[base] = self._numbers.get(base, 1) + 1
            yield f"{base}{self._numbers[base]}"
