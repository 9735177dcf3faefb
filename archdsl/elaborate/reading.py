"""Expressions read where a value of a certain kind is expected: a whole number, a condition, a list, a word."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import did_you_mean, one_of
from archdsl.core.values import UNKNOWN, Symbol, Unknown, Value, describe, is_list, is_number
from archdsl.core.work import Work
from archdsl.elaborate.budget import Budget
from archdsl.elaborate.fault_reporter import FaultReporter
from archdsl.elaborate.meanings import WORDS
from archdsl.elaborate.scope import Binding, Scope, traced
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.core.grid import Grid
    from archdsl.core.report import Reporter
    from archdsl.elaborate.program import FunctionDef

CONSTANTS: dict[str, Value] = {"on": True, "off": False, "true": True, "false": False}


class ExpressionReader(ABC):
    """Evaluation of expressions whose value must be of a certain kind."""

    def __init__(self, reporter: Reporter, symbols: set[str], work: Work | None = None) -> None:
        self.reporter = reporter
        self.symbols = symbols
        self.work = work or Work()
        self.budget = Budget(self.work, reporter)
        self.opened: list[FunctionDef] = []  # functions whose values are worked out
        self.faults = FaultReporter(reporter, self.budget, symbols)

    @abstractmethod
    def evaluate(self, expr: ast.Expr, scope: Scope) -> Value:
        """Return the value of an expression, or UNKNOWN after a fault was reported."""

    def knows(self, name: str, scope: Scope) -> bool:
        """Return True if a name has a value in a scope, or is a word of the language."""
        return name in CONSTANTS or name in self.symbols or scope.find(name) is not None

    def choice(self, expr: ast.Expr, scope: Scope, words: Sequence[str]) -> Value:
        """Return a value where one of a few words is expected, so that a misspelt one can be told."""
        if isinstance(expr, ast.Name) and not self.knows(expr.id, scope):
            close = did_you_mean(expr.id, words)
            label = f"expected {one_of(words)}, found `{expr.id}`"
            hint = close if close.startswith("did you mean") else ""
            if (meaning := WORDS.get(expr.id)) in words:
                hint = f"write `{meaning}`"
            return self.faults.report("E0301", expr.span, label, hint)
        return self.evaluate(expr, scope)

    def word(self, expr: ast.Expr, scope: Scope) -> Value:
        """Return a value where any word is expected: a name of which no word is known stands for itself."""
        binding = scope.find(expr.id) if isinstance(expr, ast.Name) else None
        known = binding is not None and isinstance(binding.value, Symbol | Unknown)
        if isinstance(expr, ast.Name) and not known and expr.id not in CONSTANTS:
            return Symbol(expr.id)
        return self.evaluate(expr, scope)

    def whole(self, expr: ast.Expr, scope: Scope, minimum: int = 0) -> int | Unknown:
        """Return a whole number that is at least `minimum`."""
        value = self.evaluate(expr, scope)
        if isinstance(value, Unknown):
            return UNKNOWN
        if isinstance(value, Fraction):
            hint = "use floor(), ceil() or round()"
            label = f"{describe(value)} is not a whole number"
            return self.faults.report_value("E0302", expr, scope, label, hint)
        if isinstance(value, bool) or not isinstance(value, int):
            return self.faults.report_value("E0301", expr, scope, f"expected a whole number, found {describe(value)}")
        if value < minimum:
            label = f"expected at least {minimum}, found {int(value)}"
            return self.faults.report_value("E0305", expr, scope, label)
        return value

    def truth(self, expr: ast.Expr, scope: Scope) -> bool | Unknown:
        """Return the value of a condition."""
        value = self.evaluate(expr, scope)
        if isinstance(value, (bool, Unknown)):
            return value
        return self.faults.report_value(
            "E0301", expr, scope, f"expected a condition, found {describe(value)}", _compared(expr, value)
        )

    def items(self, expr: ast.Expr, scope: Scope) -> tuple[Value, ...] | Unknown:
        """Return the elements of a list that ends."""
        value = self.evaluate(expr, scope)
        if is_list(value) or isinstance(value, Unknown):
            return value
        return self.faults.report_value("E0301", expr, scope, f"expected a list, found {describe(value)}")

    def bind(self, let: ast.Let, scope: Scope) -> None:
        """Give the names of a `let` their values in a scope."""
        for binding in let.bindings:
            value = self.evaluate(binding.value, scope)
            scope.names[binding.name.id] = Binding(value, binding.name.span, binding.value, scope)

    def loop(
        self, names: tuple[ast.Name, ...], iterable: ast.Expr, scope: Scope, in_hand: Grid | Unknown | None = None
    ) -> Iterator[Scope]:
        """Yield a scope for each round of a `for`."""
        values = self.items(iterable, scope)
        if isinstance(values, Unknown):
            return
        written = [_written(part, scope) for part in _parts(iterable, len(names))]
        for index, value in enumerate(values):
            self.budget.step(iterable.span)
            parts = value if len(names) > 1 else (value,)
            if not is_list(parts) or len(parts) != len(names):
                label = f"{len(names)} names for elements such as {describe(value)}"
                self.faults.report("E0301", iterable.span, label, _paired(iterable, value))
                return
            inner = scope.child(in_hand)
            for name, part, place in zip(names, parts, written, strict=True):
                expr, origin_scope = place[index] if index < len(place) else (None, None)
                inner.names[name.id] = Binding(part, name.span, expr, origin_scope)
            yield inner


def _paired(iterable: ast.Expr, value: Value) -> str:
    """Return a `zip` that gives each round its values."""
    text = iterable.span.text
    if is_list(value) or "\n" in text or len(text) > 40:
        return "`zip(a, b)` gives elements of two values"
    return f"`zip(0.., {text})` numbers the elements; `zip(a, b)` gives those of two lists"


def _parts(iterable: ast.Expr, count: int) -> Sequence[ast.Expr | None]:
    """Return the list that each of the names of a loop runs through, as it is written; None if it is computed."""
    if count == 1:
        return [iterable]
    if isinstance(iterable, ast.Call) and iterable.name.id == "zip" and len(iterable.arguments) == count:
        return [a.value for a in iterable.arguments]
    return [None] * count


def _written(part: ast.Expr | None, scope: Scope) -> list[tuple[ast.Expr, Scope]]:
    """Return the elements of a list as they stand in the spec; none if it is computed."""
    if part is None:
        return []
    expr, inner = traced(part, scope)
    return [(item, inner) for item in expr.items] if isinstance(expr, ast.List) else []


def _compared(expr: ast.Expr, value: Value) -> str:
    """Return what to write for a number as a condition."""
    sign = "==" if "%" in expr.span.text else ">"
    return f"compare it, as in `{expr.span.text} {sign} 0`" if is_number(value) else ""
