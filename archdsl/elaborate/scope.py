"""Scopes of names during the expansion of a spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from archdsl.core.grid import Grid
    from archdsl.core.source import Span
    from archdsl.core.values import Unknown, Value
    from archdsl.elaborate.program import FunctionDef
    from archdsl.frontend.ast import Expr


MAX_TRACED = 100  # names followed to the origin of a value; beyond them an intermediate place is shown


@dataclass(frozen=True, slots=True)
class Round:
    """The repeat or loop that a variable counts, with its span and number of rounds."""

    name: str
    span: Span
    count: int
    is_index: bool  # the index of a repeat, with values 0, 1, 2, …


@dataclass(slots=True)
class Binding:
    """A value with its expression, and the scope of that expression."""

    value: Value
    span: Span | None = None
    expr: Expr | None = None
    scope: Scope | None = None
    rounds: Round | None = None  # of a variable that counts


@dataclass(slots=True)
class Scope:
    """The names of one region; other names are looked up in the enclosing scope."""

    parent: Scope | None = None
    names: dict[str, Binding] = field(default_factory=dict[str, Binding])
    in_hand: Grid | Unknown | None = None
    functions: Mapping[str, FunctionDef] = field(default_factory=dict[str, "FunctionDef"])  # of a file, outermost

    def find(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            found = scope.names.get(name) or scope.lazy(name)
            if found is not None:
                return found
            scope = scope.parent
        return None

    def lazy(self, _name: str, /) -> Binding | None:
        """Return the binding of a name that is evaluated on first use; None for none."""
        return None

    def known(self) -> Iterator[str]:
        """Yield every name that can be used in this scope."""
        yield from self.names
        if self.parent is not None:
            yield from self.parent.known()

    def child(self, in_hand: Grid | Unknown | None = None) -> Scope:
        return Scope(self, {}, in_hand)

    def sees_parameters(self) -> bool:
        """Return True if the spec's parameters are visible; they are not in blocks of a library."""
        return self.parent is not None and self.parent.sees_parameters()

    def find_function(self, name: str) -> tuple[FunctionDef, Scope] | None:
        """Return a function of the file with the scope of the names that it sees."""
        *_, scope = self._outwards()
        found = scope.functions.get(name)
        if found is None:
            return None
        return found, scope if found.module.is_spec else Scope(functions=found.module.functions)

    def known_functions(self) -> Iterator[str]:
        """Yield the names of the functions of the file."""
        yield from self.functions
        if self.parent is not None:
            yield from self.parent.known_functions()

    def find_in_hand(self) -> Grid | Unknown | None:
        return next((scope.in_hand for scope in self._outwards() if scope.in_hand is not None), None)

    def _outwards(self) -> Iterator[Scope]:
        """Yield this scope and those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


def origin(expr: Expr, scope: Scope) -> Expr:
    """Return the expression in which a value is written, followed through names and parameters of blocks."""
    return traced(expr, scope)[0]


def traced(expr: Expr, scope: Scope) -> tuple[Expr, Scope]:
    """Return the expression in which a value is written, with its scope."""
    from archdsl.frontend.ast import Name

    for _ in range(MAX_TRACED):
        if not isinstance(expr, Name):
            break
        binding = scope.find(expr.id)
        if binding is None or binding.expr is None or binding.scope is None:
            return expr, scope
        expr, scope = binding.expr, binding.scope
    return expr, scope
