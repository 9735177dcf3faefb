"""Formulas over the parameters of a block as trees of code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.sym import substitute, variables
from archdsl.targets.python.tree import Binary, Literal, Name, Subscript

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from archdsl.core.sym import Formula
    from archdsl.targets.python.tree import Expr


def formula_tree(formula: Formula, known: Mapping[str, Any], name: Callable[[str], str]) -> Expr:
    """Return a formula, with the values of `known` variables put in and what then is constant worked out.

    `name` gives what the code calls a variable.
    """
    if not variables(formula) - known.keys():
        return Literal(int(substitute(formula, known)))
    match formula:
        case ("var", variable):
            return Name(name(variable))
        case ("item", variable, index):
            return Subscript(Name(name(variable)), Literal(index))
        case _:
            operator, left, right = formula[0], *(formula_tree(side, known, name) for side in formula[1:])
            if operator in ("*", "//") and _is_one(right):
                return left
            if operator == "+" and isinstance(left, Name) and isinstance(right, Name) and left.id == right.id:
                return Binary(Literal(2), "*", left)
            return right if operator == "*" and _is_one(left) else Binary(left, operator, right)


def _is_one(expr: Expr) -> bool:
    return isinstance(expr, Literal) and expr.text == "1"
