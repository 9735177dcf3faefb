"""Conditions of a spec as Python, where they speak of whole numbers only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from archdsl.core.report import Reporter
from archdsl.core.sym import Formula, formula_of
from archdsl.elaborate.evaluate import Evaluator
from archdsl.frontend import ast

if TYPE_CHECKING:
    from archdsl.elaborate.scope import Scope
    from archdsl.ir.network import Region

_COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}


Write = Callable[[Formula], str]


def condition_code(shortcut: Region, write: Write) -> str | None:
    """The condition under which a projection is there, its numbers written by `write`; None if it has another form."""
    if shortcut.test is None:
        return None
    expr, scope = shortcut.test
    return _code(expr, scope, write, Evaluator(Reporter(), set()))


def _code(expr: ast.Expr, scope: Scope, write: Write, evaluator: Evaluator) -> str | None:
    if isinstance(expr, ast.Unary) and expr.operator == "not":
        inner = _code(expr.operand, scope, write, evaluator)
        return None if inner is None else f"not ({inner})"
    if not isinstance(expr, ast.Binary):
        return None
    if expr.operator in ("and", "or"):
        sides = [_code(side, scope, write, evaluator) for side in (expr.left, expr.right)]
        texts = [
            f"({t})" if isinstance(side, ast.Binary) and side.operator == "or" and expr.operator == "and" else t
            for t, side in zip(sides, (expr.left, expr.right), strict=True)
        ]
        return None if None in sides else f" {expr.operator} ".join(str(t) for t in texts)
    if expr.operator not in _COMPARISONS:
        return None
    values = [evaluator.evaluate(side, scope) for side in (expr.left, expr.right)]
    if not all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        return None
    left, right = (write(formula_of(v)) for v in values)
    return f"{left} {expr.operator} {right}"
