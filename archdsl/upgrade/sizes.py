"""Sizes (t, h, w) as expressions, and what can be known of them without their values."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from archdsl.frontend import ast
from archdsl.upgrade.syntax import NOWHERE, Left, binary, number, value_of
from archdsl.upgrade.trees import Branch, choose

if TYPE_CHECKING:
    from archdsl.upgrade.scopes import Names

Triple = tuple[ast.Expr, ast.Expr, ast.Expr]
Linear = tuple[dict[ast.Expr, Fraction], Fraction]  # factors of what is not known, and a number
_ARITHMETIC = {"+", "-", "*", "/", "//", "%"}


def triples(expr: ast.Expr, names: Names) -> Triple | Branch[Triple]:
    """Return the numbers of a size. Raise Left if the text does not say whether it is a number or a list."""
    found = names.value(expr)
    if isinstance(found, ast.Conditional):
        return choose(found.test, triples(found.then, names), triples(found.otherwise, names))
    if isinstance(found, ast.List) and len(found.items) == 3:
        t, h, w = found.items
        return t, h, w
    kind = _kind(found, names)
    if kind == "list":
        t, h, w = (ast.Index(NOWHERE, expr, number(i)) for i in range(3))
        return t, h, w
    if kind == "number":
        return expr, expr, expr
    message = f"it does not say whether `{expr.span.text}` is a number or a list"
    raise Left(message, "give the parameter that has it a type, `int` or `list`, and try again", expr.span)


def _kind(expr: ast.Expr | None, names: Names) -> str:
    """Return `number` or `list`, or nothing if neither is certain."""
    match expr:
        case ast.Number() | ast.InHand() | ast.Unary():
            return "number"
        case ast.List() | ast.Comprehension() | ast.Range():
            return "list"
        case ast.Call():
            return "number" if expr.name.id in {"min", "max", "floor", "ceil", "round", "len", "sum"} else ""
        case ast.Binary():
            return _kind(expr.left, names) if expr.operator in _ARITHMETIC else ""
        case ast.Conditional():
            return _kind(expr.then, names) or _kind(expr.otherwise, names)
        case ast.Name():
            return _kind_of_name(expr, names)
        case ast.Index():
            whole = _shown(expr.value, names)
            return _kind(whole.items[0], names) if isinstance(whole, ast.List) and whole.items else ""
        case _:
            return ""


def _kind_of_name(expr: ast.Name, names: Names) -> str:
    meaning = names.find(expr.id)
    if meaning is None:
        return ""
    if meaning.value is not None and meaning.scope is not None:
        return _kind(meaning.value, meaning.scope)
    if meaning.declaration is None:
        return ""
    kind = meaning.declaration.type
    if kind is not None:
        return "list" if kind.names[0].id == "list" else "number"
    return _kind(meaning.declaration.default, names)


def _shown(expr: ast.Expr, names: Names) -> ast.Expr | None:
    """Return the value of a name as its definition or its default shows it."""
    found = names.value(expr)
    meaning = names.find(found.id) if isinstance(found, ast.Name) else None
    return meaning.declaration.default if meaning is not None and meaning.declaration is not None else found


def may_be_zero(expr: ast.Expr, names: Names) -> bool:
    """Return True for a name whose default is 0, or has one."""
    base = expr.value if isinstance(expr, ast.Index) else expr
    shown = _shown(base, names) if isinstance(base, ast.Name) else None
    items = shown.items if isinstance(shown, ast.List) else (shown,)
    return any(value_of(i) == 0 for i in items)


# --- what is known ---


def linear(expr: ast.Expr, names: Names) -> Linear:
    """Return a number as a sum of multiples of what is not known."""
    found = names.value(expr)
    match found:
        case ast.Number():
            return {}, found.value
        case ast.Binary(operator="+" | "-" | "*"):
            left, right = linear(found.left, names), linear(found.right, names)
            if found.operator != "*":
                return _sum(left, right, -1 if found.operator == "-" else 1)
            if not left[0] or not right[0]:
                factors, by = (right[0], left[1]) if not left[0] else (left[0], right[1])
                return {k: v * by for k, v in factors.items() if v * by}, left[1] * right[1]
        case _:
            pass
    return {found: Fraction(1)}, Fraction(0)


def _sum(left: Linear, right: Linear, sign: int) -> Linear:
    factors = dict(left[0])
    for atom, factor in right[0].items():
        factors[atom] = factors.get(atom, Fraction(0)) + sign * factor
    return {a: f for a, f in factors.items() if f}, left[1] + sign * right[1]


def are_equal(left: ast.Expr, right: ast.Expr, names: Names) -> bool | None:
    """Return whether two numbers are equal; None if that depends on their values."""
    factors, rest = _sum(linear(left, names), linear(right, names), -1)
    return None if factors else rest == 0


def is_odd(expr: ast.Expr, names: Names) -> bool | None:
    """Return whether a whole number is odd; None if that depends on its value."""
    factors, rest = linear(expr, names)
    known = rest.denominator == 1 and all(f.denominator == 1 and f % 2 == 0 for f in factors.values())
    return rest % 2 == 1 if known else None


def odd_test(expr: ast.Expr, names: Names) -> ast.Expr:
    """Return the condition that a number is odd."""
    factors, rest = linear(expr, names)
    parity = 1
    if len(factors) == 1 and factors == dict.fromkeys(factors, 1) and rest.denominator == 1:
        [expr] = factors
        parity = int(1 + rest) % 2
    return binary(binary(expr, "%", number(2)), "==", number(parity))


def exceeds_one(expr: ast.Expr, names: Names, facts: Facts) -> bool | None:
    """Return whether a number that is at least 1 is larger; None if that depends on its value."""
    factors, rest = linear(expr, names)
    if not factors:
        return rest > 1
    if len(factors) > 1:
        return None
    [(atom, factor)] = factors.items()
    low, high = facts.get(atom, (None, None))
    if factor > 0 and low is not None and factor * low + rest > 1:
        return True
    return False if factor > 0 and high is not None and factor * high + rest <= 1 else None


Facts = dict[ast.Expr, tuple[int | None, int | None]]  # the least and the largest value of a number


def with_fact(facts: Facts, test: ast.Expr, *, holds: bool) -> Facts:
    """Return what is known where a condition holds, or where it does not."""
    if isinstance(test, ast.Binary) and test.operator == ("and" if holds else "or"):
        return with_fact(with_fact(facts, test.left, holds=holds), test.right, holds=holds)
    limit = value_of(test.right) if isinstance(test, ast.Binary) else None
    if not isinstance(test, ast.Binary) or limit is None or limit.denominator != 1:
        return facts
    low, high = facts.get(test.left, (None, None))
    match test.operator, holds:
        case (">", True) | ("<=", False):
            low = int(limit) + 1
        case (">=", True) | ("<", False):
            low = int(limit)
        case (">", False) | ("<=", True):
            high = int(limit)
        case (">=", False) | ("<", True):
            high = int(limit) - 1
        case ("==", True) | ("!=", False):
            low = high = int(limit)
        case _:
            pass
    return {**facts, test.left: (low, high)}
