"""The arithmetic of expressions: exact, whole and rational numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from archdsl.core.values import Value, normal
from archdsl.elaborate.functions import bounded

if TYPE_CHECKING:
    from collections.abc import Callable


def calculate(operator: str, left: int | Fraction, right: int | Fraction) -> Value:
    """Return the result of an operator; a divisor is not 0.

    Raises:
        FunctionFault: if it is beyond the limits of numbers.
    """
    value = _OPERATORS[operator](left, right)
    bounded(value)
    return normal(value) if isinstance(value, Fraction) else value


def _divide(left: Value, right: Value) -> Value:
    """Divide exactly; a whole number stays one, with its formula, where it divides."""
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return Fraction(left) / Fraction(right)


_OPERATORS: dict[str, Callable[[Value, Value], Value]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
