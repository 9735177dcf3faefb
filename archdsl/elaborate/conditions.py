"""Conditions of shortcuts to records that keep the formulas of their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from archdsl.core.report import Reporter
from archdsl.core.sym import formula_of
from archdsl.core.values import Unknown
from archdsl.elaborate.evaluate import Evaluator
from archdsl.frontend import ast
from archdsl.ir.conditions import Comparison, Condition, Junction, Negation, Opaque

if TYPE_CHECKING:
    from archdsl.core.values import Value
    from archdsl.elaborate.scope import Scope

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_JUNCTIONS: dict[str, Literal["and", "or"]] = {"and": "and", "or": "or"}


def condition_of(test: ast.Expr, scope: Scope, evaluator: Evaluator) -> Condition:
    """Return the condition of a shortcut, whose expression was evaluated without a fault."""
    return _condition(test, scope, Evaluator(Reporter(), evaluator.symbols, evaluator.work))


def _condition(test: ast.Expr, scope: Scope, silent: Evaluator) -> Condition:
    match test:
        case ast.Unary(operator="not"):
            return Negation(_condition(test.operand, scope, silent))
        case ast.Binary() if test.operator in _JUNCTIONS:
            left, right = _condition(test.left, scope, silent), _condition(test.right, scope, silent)
            return Junction(_JUNCTIONS[test.operator], left, right)
        case ast.Binary() if test.operator in _COMPARISONS:
            left, right = silent.evaluate(test.left, scope), silent.evaluate(test.right, scope)
            if _is_whole(left) and _is_whole(right):
                return Comparison(test.operator, formula_of(left), formula_of(right))
        case _:
            pass
    holds = silent.truth(test, scope)
    return Opaque(None if isinstance(holds, Unknown) else holds)


def _is_whole(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
