"""Conditions of shortcuts: comparisons of whole numbers, as formulas over the parameters of the block around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from archdsl.core.record import record

if TYPE_CHECKING:
    from archdsl.core.sym import Formula


@record
class Comparison:
    """Two whole numbers compared by `==`, `!=`, `<`, `<=`, `>` or `>=`."""

    operator: str
    left: Formula
    right: Formula


@record
class Negation:
    """`not` before a condition."""

    operand: Condition


@record
class Junction:
    """Two conditions joined by `and` or `or`."""

    operator: Literal["and", "or"]
    left: Condition
    right: Condition


@record
class Opaque:
    """A condition that compares no whole numbers, such as `kind == plain`, with its value at this call of the block.

    The value is None where nothing depends on it, as on the right of `off and …`, and it has none.
    """

    holds: bool | None


Condition = Comparison | Negation | Junction | Opaque
