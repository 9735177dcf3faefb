"""Operands that templates print: they have a precedence, and count how often they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.targets.python.printer import text
from archdsl.targets.python.reader import expression
from archdsl.targets.python.tree import Precedence

if TYPE_CHECKING:
    from archdsl.targets.python.tree import Expr


class Operand:
    """An expression in a template. One that stands beside operators there has brackets where it needs them."""

    def __init__(self, expr: Expr, *, is_beside_operator: bool = False) -> None:
        self.expr = expr
        self.is_beside_operator = is_beside_operator
        self.named = 0

    def __str__(self) -> str:
        self.named += 1
        return in_brackets(self.expr) if self.is_beside_operator else text(self.expr)

    def primary(self) -> str:
        """Return the expression where `.name` or an operator follows it."""
        self.named += 1
        return in_brackets(self.expr)


def in_brackets(expr: Expr) -> str:
    """Return an expression with brackets around it unless it is a primary."""
    code = text(expr)
    return code if expr.precedence >= Precedence.PRIMARY else f"({code})"


def primary(value: object) -> str:
    """The filter of templates for what `.name` or an operator follows."""
    return value.primary() if isinstance(value, Operand) else in_brackets(expression(str(value)))
