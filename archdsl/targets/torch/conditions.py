"""Conditions of shortcuts as Python."""

from __future__ import annotations

from collections.abc import Callable

from archdsl.core.sym import Formula
from archdsl.ir.conditions import Comparison, Condition, Junction, Negation, Opaque

Write = Callable[[Formula], str]


def condition_code(condition: Condition | None, write: Write) -> str | None:
    """Return a condition, its numbers written by `write`; None if there is none or Python code cannot say it."""
    match condition:
        case Comparison(operator, left, right):
            return f"{write(left)} {operator} {write(right)}"
        case Negation(operand):
            inner = condition_code(operand, write)
            return None if inner is None else f"not ({inner})"
        case Junction(operator, left, right):
            sides = [_side(side, operator, write) for side in (left, right)]
            return None if None in sides else f" {operator} ".join(map(str, sides))
        case Opaque() | None:
            return None


def _side(side: Condition, operator: str, write: Write) -> str | None:
    code = condition_code(side, write)
    is_looser = isinstance(side, Junction) and side.operator == "or" and operator == "and"
    return f"({code})" if is_looser and code is not None else code
