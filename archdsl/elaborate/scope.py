"""Names and what they stand for while a spec is expanded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.core.grid import Grid
    from archdsl.core.source import Span
    from archdsl.core.values import Unknown, Value
    from archdsl.frontend.ast import Expr


MAX_TRACED = 100  # names that stand for each other; beyond them a place on the way is shown


@dataclass(frozen=True, slots=True)
class Round:
    """The repeat or loop that gives a variable its values: where it stands, and how many rounds it has."""

    name: str
    span: Span
    count: int
    is_index: bool  # of a repeat, so that the values are 0, 1, 2 and so on


@dataclass(slots=True)
class Binding:
    """A value with the expression, and the scope of that expression, that it came from."""

    value: Value
    span: Span | None = None
    expr: Expr | None = None
    scope: Scope | None = None
    rounds: Round | None = None  # of a variable that counts


@dataclass(slots=True)
class Scope:
    """Names of one region; what is not here is looked for further out."""

    parent: Scope | None = None
    names: dict[str, Binding] = field(default_factory=dict[str, Binding])
    in_hand: Grid | Unknown | None = None

    def find(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            found = scope.names.get(name) or scope.lazy(name)
            if found is not None:
                return found
            scope = scope.parent
        return None

    def lazy(self, _name: str, /) -> Binding | None:
        """A name that is worked out when it is first asked for."""
        return None

    def known(self) -> Iterator[str]:
        """Every name that can be used here."""
        yield from self.names
        if self.parent is not None:
            yield from self.parent.known()

    def child(self, in_hand: Grid | Unknown | None = None) -> Scope:
        return Scope(self, {}, in_hand)

    def sees_parameters(self) -> bool:
        """Whether the parameters of the spec are known here; they are not in the blocks of a library."""
        return self.parent is not None and self.parent.sees_parameters()

    def find_in_hand(self) -> Grid | Unknown | None:
        scope: Scope | None = self
        while scope is not None:
            if scope.in_hand is not None:
                return scope.in_hand
            scope = scope.parent
        return None


def origin(expr: Expr, scope: Scope) -> Expr:
    """The expression that an argument was first written as, followed out of the blocks that passed it on by name."""
    return traced(expr, scope)[0]


def traced(expr: Expr, scope: Scope) -> tuple[Expr, Scope]:
    """The same, with the scope that it was written in."""
    from archdsl.frontend.ast import Name

    for _ in range(MAX_TRACED):
        if not isinstance(expr, Name):
            break
        binding = scope.find(expr.id)
        if binding is None or binding.expr is None or binding.scope is None:
            return expr, scope
        expr, scope = binding.expr, binding.scope
    return expr, scope
