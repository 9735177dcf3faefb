"""Arithmetic of expressions, with the faults of operands that an operator cannot be applied to."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.values import Value, describe, is_list, is_number
from archdsl.core.work import FRACTION
from archdsl.elaborate.cures import list_cure
from archdsl.elaborate.functions import FunctionFault
from archdsl.elaborate.operators import calculate
from archdsl.elaborate.scope import Scope, origin

if TYPE_CHECKING:
    from archdsl.elaborate.reading import ExpressionReader
    from archdsl.frontend import ast


def arithmetic(expr: ast.Binary, left: Value, right: Value, scope: Scope, reader: ExpressionReader) -> Value:
    """Return the result of an operator of numbers, or UNKNOWN after a fault."""
    for value, part in ((left, expr.left), (right, expr.right)):
        if not is_number(value):
            label = f"expected a number, found {describe(value)}"
            hint = list_cure(expr) if is_list(value) and expr.operator == "*" else ""
            return reader.faults.report_value("E0301", part, scope, label, hint)
        if isinstance(value, Fraction):
            reader.budget.step(expr.span, FRACTION)
    if expr.operator == "**" and isinstance(right, Fraction):
        label = f"{describe(right)} is not a whole number"
        return reader.faults.report_value("E0302", expr.right, scope, label, "a power has a whole exponent")
    if left == 0 > right if expr.operator == "**" else expr.operator in ("/", "//", "%") and right == 0:
        return _zero(expr, left, right, scope, reader)
    try:
        return calculate(expr.operator, left, right)
    except FunctionFault as fault:
        return reader.faults.report(fault.code, expr.span, fault.message)


def _zero(expr: ast.Binary, left: Value, right: Value, scope: Scope, reader: ExpressionReader) -> Value:
    """Report a division by zero, with the place that the zero comes from."""
    zero = expr.left if expr.operator == "**" else expr.right
    first = origin(zero, scope)
    notes = [] if first is zero else [Note("0 comes from here", first.span)]
    return reader.faults.report("E0303", expr.span, f"{describe(left)} {expr.operator} {describe(right)}", notes=notes)
