"""Conditions of shortcuts as trees of code."""

from __future__ import annotations

from operator import eq, ge, gt, le, lt, ne
from typing import TYPE_CHECKING

from archdsl.ir.conditions import Comparison, Condition, Junction, Negation, Opaque
from archdsl.targets.python.tree import Binary, Expr, Literal, Unary

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.core.sym import Formula


def condition_tree(condition: Condition | None, write: Callable[[Formula], Expr]) -> Expr | None:
    """Return a condition, its numbers written by `write`; None if there is none or Python code cannot say it.

    Comparisons of two constants are worked out, and left out where the rest decides.
    """
    match condition:
        case Comparison(operator, left, right):
            return _compared(write(left), operator, write(right))
        case Negation(operand):
            inner = condition_tree(operand, write)
            return None if inner is None else _CONTRARY.get(_word(inner)) or Unary("not", inner)
        case Junction(operator, left, right):
            sides = condition_tree(left, write), condition_tree(right, write)
            return None if sides[0] is None or sides[1] is None else _joined(sides[0], operator, sides[1])
        case Opaque() | None:
            return None


_CONTRARY = {"True": Literal("False"), "False": Literal("True")}
_COMPARE = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


def _word(expr: Expr) -> str:
    return expr.text if isinstance(expr, Literal) else ""


def _compared(left: Expr, operator: str, right: Expr) -> Expr:
    if isinstance(left, Literal) and isinstance(right, Literal):
        return Literal(_COMPARE[operator](int(left.text), int(right.text)))
    return Binary(left, operator, right)


def _joined(left: Expr, operator: str, right: Expr) -> Expr:
    decides, other = ("True", "False") if operator == "or" else ("False", "True")
    if decides in (_word(left), _word(right)):
        return Literal(decides)
    if _word(left) == other:
        return right
    return left if _word(right) == other else Binary(left, operator, right)
