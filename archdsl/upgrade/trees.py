"""Decisions of a spec: what holds under which of its conditions.

A tree is a leaf, which is anything but a `Branch`, or a `Branch` of two trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from archdsl.frontend import ast
from archdsl.upgrade.syntax import NOWHERE, alternatives, any_of, both, chain, negated, step

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
S = TypeVar("S")
R = TypeVar("R")


@dataclass(frozen=True)
class Branch(Generic[T]):
    """Decision between two trees by a condition."""

    test: ast.Expr
    then: T | Branch[T]
    otherwise: T | Branch[T]


def choose(test: ast.Expr | bool, then: T | Branch[T], otherwise: T | Branch[T]) -> T | Branch[T]:
    """Return a decision, joined with those in it that lead to the same."""
    if isinstance(test, bool):
        return then if test else otherwise
    if then == otherwise:
        return then
    first, rest = _as_branch(then), _as_branch(otherwise)
    if rest is not None and rest.then == then:
        return choose(any_of([test, rest.test]), then, rest.otherwise)
    if first is not None and first.otherwise == otherwise:
        return choose(both(test, first.test), first.then, otherwise)
    if rest is not None and rest.otherwise == then:
        return choose(both(negated(test), rest.test), rest.then, then)
    return Branch(test, then, otherwise)


def _as_branch(tree: T | Branch[T]) -> Branch[T] | None:
    return cast("Branch[T]", tree) if isinstance(tree, Branch) else None


def mapped(make: Callable[[T], R | Branch[R]], tree: T | Branch[T]) -> R | Branch[R]:
    """Return a tree with the same decisions and other leaves, which may decide further."""
    if isinstance(tree, Branch):
        node = cast("Branch[T]", tree)
        return choose(node.test, mapped(make, node.then), mapped(make, node.otherwise))
    return make(tree)


def combined(make: Callable[[S, T], R | Branch[R]], one: S | Branch[S], other: T | Branch[T]) -> R | Branch[R]:
    """Return what follows from two trees, with each condition decided once."""
    if isinstance(one, Branch):
        node = cast("Branch[S]", one)
        then = combined(make, node.then, decided(other, node.test, holds=True))
        return choose(node.test, then, combined(make, node.otherwise, decided(other, node.test, holds=False)))
    return mapped(lambda leaf: make(one, leaf), other)


def decided(tree: T | Branch[T], test: ast.Expr, *, holds: bool) -> T | Branch[T]:
    """Return what is left of a tree if it is known whether a condition holds."""
    if not isinstance(tree, Branch):
        return tree
    node = cast("Branch[T]", tree)
    if node.test == test:
        return decided(node.then if holds else node.otherwise, test, holds=holds)
    then, otherwise = (decided(t, test, holds=holds) for t in (node.then, node.otherwise))
    return choose(node.test, then, otherwise)


def leaves(tree: T | Branch[T]) -> list[T]:
    """Return all that can hold."""
    if isinstance(tree, Branch):
        node = cast("Branch[T]", tree)
        return [*leaves(node.then), *leaves(node.otherwise)]
    return [tree]


# --- trees as syntax ---


def as_value(tree: ast.Expr | Branch[ast.Expr]) -> ast.Expr:
    """Return a tree of values as one value."""
    if isinstance(tree, Branch):
        return ast.Conditional(NOWHERE, as_value(tree.then), tree.test, as_value(tree.otherwise))
    return tree


def as_test(tree: ast.Expr | bool | Branch[ast.Expr | bool]) -> ast.Expr | bool:
    """Return a tree of conditions as one."""
    if not isinstance(tree, Branch):
        return tree
    test, then, otherwise = tree.test, as_test(tree.then), as_test(tree.otherwise)
    if isinstance(then, bool) and isinstance(otherwise, bool):
        return then if then == otherwise else test if then else negated(test)
    if then == otherwise:
        return then
    if isinstance(then, bool):
        rest = cast("ast.Expr", otherwise)
        return any_of([test, rest]) if then else both(negated(test), rest)
    if isinstance(otherwise, bool):
        return any_of([negated(test), then]) if otherwise else both(test, then)
    more = [a for a in alternatives(then) if a != otherwise]
    if len(more) < len(alternatives(then)):
        return any_of([both(test, any_of(more)), otherwise]) if more else otherwise
    return ast.Conditional(NOWHERE, then, test, otherwise)


Statements = tuple[ast.Statement, ...]


def as_statements(tree: Statements | Branch[Statements]) -> Statements:
    """Return a tree of lines as lines with conditions."""
    if not isinstance(tree, Branch):
        return tree
    then, otherwise = as_statements(tree.then), as_statements(tree.otherwise)
    if not then:
        return (ast.If(NOWHERE, negated(tree.test), otherwise, ()),)
    return (ast.If(NOWHERE, tree.test, then, otherwise),)


Steps = tuple[ast.Step, ...]


def as_steps(tree: Steps | Branch[Steps]) -> Steps:
    """Return a tree of chains as steps of one; a chain may be empty."""
    if not isinstance(tree, Branch):
        return tree
    test, then, otherwise = tree.test, as_steps(tree.then), as_steps(tree.otherwise)
    if not then:
        test, then, otherwise = negated(test), otherwise, ()
    rest = None
    if otherwise:
        [first, *others] = otherwise
        rest = first.link if isinstance(first.link, ast.Choose) and not others else chain(*otherwise)
    return (step(ast.Choose(NOWHERE, test, chain(*then), rest)),)
