"""The arithmetic of expressions: exact, whole and rational numbers."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from operator import mul
from typing import TYPE_CHECKING

from archdsl.core.sym import Sym
from archdsl.core.values import Value, normal
from archdsl.elaborate.functions import bounded

if TYPE_CHECKING:
    from collections.abc import Callable


MAX_EXPONENT = 60  # beyond it, every power but those of 0, 1 and -1 is beyond the limits of numbers
MAX_FACTORS = 3  # of a power that keeps its formula, as a product


def calculate(operator: str, left: int | Fraction, right: int | Fraction) -> Value:
    """Return the result of an operator; a divisor is not 0, and an exponent is whole.

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


def _power(base: Value, exponent: Value) -> Value:
    """Raise to a whole power, exactly; a negative one gives the power of the reciprocal."""
    if isinstance(base, Sym) and 0 < exponent <= MAX_FACTORS:
        return reduce(mul, [base] * exponent)
    if abs(base) != 1:
        exponent = max(-MAX_EXPONENT, min(exponent, MAX_EXPONENT))
    return int(base) ** int(exponent) if isinstance(base, int) and exponent >= 0 else Fraction(base) ** int(exponent)


_OPERATORS: dict[str, Callable[[Value, Value], Value]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": _power,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
