"""Meanings of the names of a file where a layer is called, as far as its text says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Call = ast.Layer | ast.Lines


@dataclass(frozen=True, eq=False)
class Meaning:
    """Meaning of a name: a parameter, or a value in a scope; neither for the variable of a loop."""

    declaration: ast.Declaration | None = None
    value: ast.Expr | None = None
    scope: Names | None = None


@dataclass(eq=False)
class Names:
    """The names of one region; others are those of the region around it."""

    parent: Names | None = None
    own: dict[str, Meaning] = field(default_factory=dict[str, Meaning])

    def find(self, name: str) -> Meaning | None:
        """Return the meaning of a name; None for a word, or a parameter of another file."""
        found = self.own.get(name)
        return found if found is not None or self.parent is None else self.parent.find(name)

    def value(self, expr: ast.Expr) -> ast.Expr:
        """Return the expression behind a name that `let` defines, if it means the same here."""
        if not isinstance(expr, ast.Name):
            return expr
        meaning = self.find(expr.id)
        if meaning is None or meaning.value is None or meaning.scope is None:
            return expr
        inside = meaning.scope
        if any(inside.find(n) is not self.find(n) for n in _words(meaning.value)):
            return expr
        return self.value(meaning.value)

    def let(self, statement: ast.Let) -> None:
        for binding in statement.bindings:
            scope = Names(self.parent, dict(self.own))
            self.own[binding.name.id] = Meaning(value=binding.value, scope=scope)


def calls(file: ast.File, word: str) -> Iterator[tuple[Call, Names, ast.Statement]]:
    """Yield the calls of a layer, the names that they see, and the outermost statements that they stand in."""
    declared = [d for s in file.statements if isinstance(s, ast.Param) for d in s.declarations]
    top = Names(own={d.name.id: Meaning(d) for d in declared})
    for statement in file.statements:
        for call, names in _in_statements((statement,), top):
            if call.name.id == word:
                yield call, names, statement


def _in_statements(statements: Sequence[ast.Statement], names: Names) -> Iterator[tuple[Call, Names]]:
    for statement in statements:
        match statement:
            case ast.Let():
                names.let(statement)
            case ast.Block():
                inside = Names(names, {p.name.id: Meaning(p) for p in statement.parameters})
                for let in statement.lets:
                    inside.let(let)
                yield from _in_chain(statement.chain, inside)
            case ast.For() | ast.Stage() | ast.If():
                loop = statement.names if isinstance(statement, ast.For) else ()
                otherwise = statement.otherwise if isinstance(statement, ast.If) else ()
                yield from _in_statements(statement.body, Names(names, {n.id: Meaning() for n in loop}))
                yield from _in_statements(otherwise, Names(names))
            case ast.PathLine() | ast.BranchLine() | ast.Lateral() | ast.Path() | ast.Head():
                yield from _in_chain(statement.chain, names)
            case _:
                pass


def _in_chain(chain: ast.Chain, names: Names) -> Iterator[tuple[Call, Names]]:
    for step in chain.steps:
        yield from _in_link(step.link, names)


def _in_link(link: ast.Link, names: Names) -> Iterator[tuple[Call, Names]]:
    if isinstance(link, Call):
        yield link, names
    if isinstance(link, ast.Lines):
        yield from _in_statements(link.body, Names(names))
    for part in _inner(link):
        if isinstance(part, ast.Chain):
            yield from _in_chain(part, names)
        else:
            yield from _in_link(part, names)


def _inner(link: ast.Link) -> Sequence[ast.Chain | ast.Choose]:
    """Return the chains in a link, and the link behind its `else`."""
    match link:
        case ast.Merge():
            return link.branches
        case ast.Residual():
            return (link.chain, link.shortcut.chain) if link.shortcut else (link.chain,)
        case ast.Choose():
            return (link.then, link.otherwise) if link.otherwise else (link.then,)
        case ast.Group() | ast.Freezing():
            return (link.chain,)
        case _:
            return ()


def _words(part: object) -> Iterator[str]:
    """Yield the names in an expression."""
    if isinstance(part, ast.Name):
        yield part.id
    elif isinstance(part, ast.Syntax):
        for inner in vars(part).values():
            yield from _words(inner)
    elif isinstance(part, tuple):
        for inner in cast("tuple[object, ...]", part):
            yield from _words(inner)
