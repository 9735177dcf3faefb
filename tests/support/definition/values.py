"""Values: what expressions give."""

from __future__ import annotations

import math
import operator
import re
from collections import ChainMap
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING, Any

from archdsl.core.values import Symbol
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Value = Any  # Fraction, bool, str, Symbol, a tuple of values, or the endless `count` of `a..`
Names = ChainMap[str, Value]  # those of the innermost braces first; `in` is the Grid in hand


def is_same(left: Value, right: Value) -> bool:
    """Tell whether two values are equal; `on` is no number, and lists are equal element by element."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(is_same, left, right))
    return type(left) is type(right) and left == right


CONSTANTS = {"on": True, "true": True, "off": False, "false": False}
OPERATORS = {
    "==": is_same, "!=": lambda a, b: not is_same(a, b),
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": operator.mod,
    "//": lambda a, b: Fraction(a // b), "**": lambda a, b: Fraction(a) ** int(b),
    "in": lambda a, b: any(is_same(a, element) for element in b),
}  # fmt: skip
FUNCTIONS = {
    "len": lambda items: Fraction(len(items)),
    "min": min,
    "max": max,
    "sum": lambda items: Fraction(sum(items)),
    "floor": lambda x: Fraction(math.floor(x)),
    "ceil": lambda x: Fraction(math.ceil(x)),
    "round": lambda x: Fraction(math.floor(x + Fraction(1, 2))),
    "zip": lambda *lists: tuple(zip(*lists, strict=False)),
}


def evaluate(expr: ast.Expr, names: Names) -> Value:  # noqa: C901, PLR0911, PLR0912  # one case for each kind
    """The value of an expression."""
    match expr:
        case ast.Number() | ast.String():
            return expr.value
        case ast.Name():
            return names[expr.id] if expr.id in names else CONSTANTS.get(expr.id, Symbol(expr.id))
        case ast.InHand():
            return Fraction(getattr(names["in"], expr.attribute))
        case ast.List():
            return tuple(evaluate(item, names) for item in expr.items)
        case ast.Comprehension():
            rounds = loop(expr.names, expr.iterable, names)
            return tuple(evaluate(expr.item, n) for n in rounds if expr.test is None or evaluate(expr.test, n))
        case ast.Range():
            start = evaluate(expr.start, names)
            if expr.stop is None:
                return count(start)
            return tuple(map(Fraction, range(int(start), int(evaluate(expr.stop, names)) + 1)))
        case ast.Unary():
            operand = evaluate(expr.operand, names)
            return not operand if expr.operator == "not" else -operand
        case ast.Binary(operator="and"):
            return evaluate(expr.left, names) and evaluate(expr.right, names)
        case ast.Binary(operator="or"):
            return evaluate(expr.left, names) or evaluate(expr.right, names)
        case ast.Binary():
            return OPERATORS[expr.operator](evaluate(expr.left, names), evaluate(expr.right, names))
        case ast.Conditional():
            return evaluate(expr.then if evaluate(expr.test, names) else expr.otherwise, names)
        case ast.Index():
            return evaluate(expr.value, names)[int(evaluate(expr.index, names))]
        case ast.Call():
            if (own := f"{expr.name.id}(") in names:
                return _applied(expr, *names[own], names)
            arguments = tuple(evaluate(a.value, names) for a in expr.arguments)
            function = FUNCTIONS.get(expr.name.id)
            return function(*arguments) if function else Symbol(expr.name.id, arguments)


def _applied(call: ast.Call, function: ast.Function, around: Names, names: Names) -> Value:
    """The value of a function of a file, which sees what stands around it and its own parameters."""
    inner = around.new_child()
    keys = [p.name.id for p in function.parameters]
    given = {a.name.id if a.name is not None else keys[k]: a.value for k, a in enumerate(call.arguments)}
    for parameter in function.parameters:
        name = parameter.name.id
        if name in given:
            inner[name] = evaluate(given[name], names)
        else:
            assert parameter.default is not None
            inner[name] = evaluate(parameter.default, inner)
    return evaluate(function.value, inner)


def filled(label: ast.Label, names: Names) -> str:
    """`res{i}` with the values of its names."""
    return re.sub(r"\{(\w+)\}", lambda m: _word(evaluate(ast.Name(label.span, m[1]), names)), label.text)


def _word(value: Value) -> str:
    return value.name if isinstance(value, Symbol) else str(value)


def loop(variables: Sequence[ast.Name], iterable: ast.Expr, names: Names) -> Iterator[Names]:
    """The names of each round of a `for`; several variables take a row apart."""
    for item in evaluate(iterable, names):
        parts = item if len(variables) > 1 else (item,)
        yield names.new_child({v.id: part for v, part in zip(variables, parts, strict=True)})


def let(statement: ast.Let, names: Names) -> None:
    """Name values for the rest of the innermost braces."""
    for binding in statement.bindings:
        names[binding.name.id] = evaluate(binding.value, names)


def plain(value: Value) -> Value:
    """A value as layers take it: whole numbers as `int`."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, Symbol):
        return Symbol(value.name, plain(value.arguments))
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


def typed(value: Value, kind: ast.Type | None) -> Value:
    """A value as its type has it: a size that is a number has it on all axes."""
    is_size = kind is not None and [n.id for n in kind.names] == ["size"]
    return value if not is_size or isinstance(value, tuple) else (value, value, value)


class Parameters(dict[str, Value]):
    """The parameters of a spec, each worked out when it is first asked for: they may stand in any order."""

    def __init__(
        self, defaults: Mapping[str, ast.Expr], given: Mapping[str, Value], types: Mapping[str, ast.Type]
    ) -> None:
        super().__init__({name: typed(value, types.get(name)) for name, value in given.items()})
        self.defaults = defaults
        self.types = types

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.defaults

    def __missing__(self, name: str) -> Value:
        if name not in self.defaults:
            raise KeyError(name)
        self[name] = typed(evaluate(self.defaults[name], ChainMap(self)), self.types.get(name))
        return self[name]
