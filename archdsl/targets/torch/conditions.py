"""Conditions of shortcuts as trees of code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.ir.conditions import Comparison, Condition, Junction, Negation, Opaque
from archdsl.targets.python.tree import Binary, Expr, Unary

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.core.sym import Formula


def condition_tree(condition: Condition | None, write: Callable[[Formula], Expr]) -> Expr | None:
    """Return a condition, its numbers written by `write`; None if there is none or Python code cannot say it."""
    match condition:
        case Comparison(operator, left, right):
            return Binary(write(left), operator, write(right))
        case Negation(operand):
            inner = condition_tree(operand, write)
            return None if inner is None else Unary("not", inner)
        case Junction(operator, left, right):
            sides = condition_tree(left, write), condition_tree(right, write)
            return None if sides[0] is None or sides[1] is None else Binary(sides[0], operator, sides[1])
        case Opaque() | None:
            return None
