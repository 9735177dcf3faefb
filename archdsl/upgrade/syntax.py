"""Syntax that stands in no text yet."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from archdsl.core.source import Source, Span
from archdsl.frontend import ast
from archdsl.frontend.format import format_file

if TYPE_CHECKING:
    from collections.abc import Sequence

NOWHERE = Span(Source("<upgrade>", ""), 0, 0)
IN_CHANNELS = ast.InHand(NOWHERE, "channels")

_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


class Left(Exception):
    """A call that cannot be upgraded by itself; the text says why, `hint` what to do."""

    def __init__(self, message: str, hint: str = "", span: Span | None = None) -> None:
        super().__init__(message)
        self.message, self.hint, self.span = message, hint, span


# --- values ---


def name(word: str) -> ast.Name:
    """Return a word as a name."""
    return ast.Name(NOWHERE, word)


def number(value: int) -> ast.Number:
    """Return a whole number."""
    return ast.Number(NOWHERE, Fraction(value), str(value))


def sizes_list(items: Sequence[ast.Expr]) -> ast.List:
    """Return a list of values."""
    return ast.List(NOWHERE, tuple(items))


def binary(left: ast.Expr, operator: str, right: ast.Expr) -> ast.Binary:
    """Return an operation of two values."""
    return ast.Binary(NOWHERE, operator, left, right)


def alternatives(test: ast.Expr) -> list[ast.Expr]:
    """Return the conditions of which one must hold."""
    if isinstance(test, ast.Binary) and test.operator == "or":
        return [*alternatives(test.left), *alternatives(test.right)]
    return [test]


def any_of(tests: Sequence[ast.Expr]) -> ast.Expr:
    """Return the disjunction of at least one condition."""
    found, *others = dict.fromkeys(a for test in tests for a in alternatives(test))
    for test in others:
        found = binary(found, "or", test)
    return found


def both(left: ast.Expr, right: ast.Expr) -> ast.Expr:
    """Return the conjunction of two conditions; the second alone if it implies the first."""
    if isinstance(left, ast.Binary) and isinstance(right, ast.Binary) and left.left == right.left:
        low, high = value_of(left.right), value_of(right.right)
        is_low = low is not None and high is not None and low <= high
        is_narrower = is_low and left.operator == right.operator == ">"
        words = isinstance(left.right, ast.Name) and isinstance(right.right, ast.Name) and left.right != right.right
        if is_narrower or (words and (left.operator, right.operator) == ("!=", "==")):
            return right
    return binary(left, "and", right)


def negated(test: ast.Expr) -> ast.Expr:
    """Return the opposite of a condition."""
    if isinstance(test, ast.Unary) and test.operator == "not":
        return test.operand
    if isinstance(test, ast.Binary) and test.operator in _OPPOSITE:
        return binary(test.left, _OPPOSITE[test.operator], test.right)
    return ast.Unary(NOWHERE, "not", test)


def value_of(expr: ast.Expr | None) -> Fraction | None:
    """Return the value of a literal number."""
    return expr.value if isinstance(expr, ast.Number) else None


# --- chains ---


def step(link: ast.Link, label: str = "") -> ast.Step:
    """Return a step of a chain, perhaps with a name."""
    return ast.Step(NOWHERE, link, None, ast.Label(NOWHERE, label) if label else None)


def chain(*steps: ast.Step) -> ast.Chain:
    """Return a chain of steps."""
    return ast.Chain(NOWHERE, steps)


def argument(value: ast.Expr, key: str = "") -> ast.Argument:
    """Return an argument, by position without `key`."""
    return ast.Argument(NOWHERE, name(key) if key else None, value)


def layer(word: str, *positional: ast.Expr, **named: ast.Expr | None) -> ast.Layer:
    """Return a layer with its arguments; without any, no parentheses."""
    arguments = [argument(v) for v in positional]
    arguments += [argument(v, k) for k, v in named.items() if v is not None]
    return ast.Layer(NOWHERE, name(word), tuple(arguments) or None)


def merge(word: str, *branches: ast.Chain) -> ast.Merge:
    """Return a layer of several chains."""
    return ast.Merge(NOWHERE, name(word), None, branches)


def line(letters: str, *steps: ast.Step) -> ast.BranchLine:
    """Return a line of an attention."""
    return ast.BranchLine(NOWHERE, name(letters), chain(*steps))


# --- text ---


def printed(statement: ast.Statement) -> str:
    """Return a statement in canonical form."""
    return format_file(ast.File(NOWHERE.source, (statement,), ())).rstrip("\n")


def printed_value(expr: ast.Expr) -> str:
    """Return an expression in canonical form."""
    return printed(ast.Let(NOWHERE, (ast.Binding(NOWHERE, name("x"), expr),))).removeprefix("let x = ")
