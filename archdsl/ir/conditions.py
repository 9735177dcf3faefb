"""Conditions of shortcuts: comparisons of integers, as formulas over the parameters of the enclosing block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from archdsl.core.record import record

if TYPE_CHECKING:
    from archdsl.core.sym import Formula


@record
class Comparison:
    """Comparison of two integers by `==`, `!=`, `<`, `<=`, `>` or `>=`."""

    operator: str
    left: Formula
    right: Formula


@record
class Negation:
    """Negation of a condition by `not`."""

    operand: Condition


@record
class Junction:
    """Conjunction or disjunction of two conditions."""

    operator: Literal["and", "or"]
    left: Condition
    right: Condition


@record
class Opaque:
    """A condition on other values than integers, such as `kind == plain`, with its value in this call of the block.

    The value is None if the condition is not evaluated, as on the right of `off and …`.
    """

    holds: bool | None


Condition = Comparison | Negation | Junction | Opaque
