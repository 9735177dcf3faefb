"""Other names of theirs: second ones of a tensor in one state dict, and those that versions of a code base have."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.weights.rules import expression, spelled

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from archdsl.core.report import Reporter
    from archdsl.core.source import Span
    from archdsl.weights.tree import Alias, WeightMap


@dataclass(frozen=True)
class Aliases:
    """The other names of tensors of theirs, each behind the name that it belongs to."""

    second: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])  # written too
    instead: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])  # of names that are written

    @cached_property
    def meant(self) -> dict[str, str]:
        """Each of them, with the name that it belongs to."""
        return {alias: name for names in (self.second, self.instead) for name in names for alias in names[name]}

    def of(self, name: str) -> list[str]:
        """All names of a tensor that a rule names, in the order in which they count."""
        written = [name, *self.second.get(name, ())]
        return [n for w in written for n in (w, *self.instead.get(w, ()))]

    def found(self, name: str, given: Container[str]) -> list[str]:
        """The names under which a checkpoint has a tensor that a rule names. The first one counts."""
        written = [name, *self.second.get(name, ())]
        found = (next((n for n in (w, *self.instead.get(w, ())) if n in given), None) for w in written)
        return [n for n in found if n is not None]


def bind_aliases(weights: WeightMap, taken: dict[str, Span], reporter: Reporter) -> Aliases:
    """The other names of tensors.

    Args:
        weights: the map.
        taken: the names that rules give, and where; those that are found here are put to them.
        reporter: told of names that are taken already.
    """
    rules = list(taken)
    second = _bound((a for a in weights.aliases if a.second), weights, rules, taken, reporter)
    written = [*rules, *(n for names in second.values() for n in names)]
    instead = _bound((a for a in weights.aliases if not a.second), weights, written, taken, reporter)
    return Aliases(second, instead)


def _bound(
    aliases: Iterable[Alias], weights: WeightMap, names: Iterable[str], taken: dict[str, Span], reporter: Reporter
) -> dict[str, list[str]]:
    bound: dict[str, list[str]] = {}
    for alias in aliases:
        pattern = re.compile(expression(alias.of, weights, 1))
        for name in names:
            match = pattern.fullmatch(name)
            if match is None:
                continue
            other = spelled(alias.name, match.groupdict())
            if other in taken:
                note = Note("and by this rule", taken[other])
                reporter.report("E0805", alias.span, f"`{other}` is taken twice, for `{name}`", [note])
            else:
                taken[other] = alias.span
                bound.setdefault(name, []).append(other)
    return bound
