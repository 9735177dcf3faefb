"""Aliases of a source's tensors: second names in the same state dict, and names in other versions of the code."""

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
    """Aliases of a source's tensors, by the name in a rule."""

    second: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])  # read, and written to checkpoints
    instead: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])  # only read

    @cached_property
    def name_of(self) -> dict[str, str]:
        """The name in a rule of each alias."""
        return {alias: name for names in (self.second, self.instead) for name in names for alias in names[name]}

    def of(self, name: str) -> list[str]:
        """Return all names of the tensor with `name` in a rule, in order of precedence."""
        written = [name, *self.second.get(name, ())]
        return [n for w in written for n in (w, *self.instead.get(w, ()))]

    def present(self, name: str, tensors: Container[str]) -> list[str]:
        """Return the names under which a checkpoint has the tensor with `name` in a rule, in order of precedence."""
        written = [name, *self.second.get(name, ())]
        present = (next((n for n in (w, *self.instead.get(w, ())) if n in tensors), None) for w in written)
        return [n for n in present if n is not None]


def bind_aliases(weights: WeightMap, taken: dict[str, Span], reporter: Reporter) -> Aliases:
    """Return the aliases of a map's tensors.

    Args:
        weights: the map.
        taken: the names in rules, with their spans; aliases are added.
        reporter: receives an error for each alias that equals another name.
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
                note = Note("and in this rule", taken[other])
                reporter.report("E0805", alias.span, f"`{other}` stands for two tensors: here for `{name}`", [note])
            else:
                taken[other] = alias.span
                bound.setdefault(name, []).append(other)
    return bound
