"""Expressions to values: whole and rational numbers (never rounded), words, lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import Note, did_you_mean
from archdsl.core.grid import MixedGrid
from archdsl.core.values import (
    UNKNOWN,
    Endless,
    Items,
    Symbol,
    Unknown,
    Value,
    describe,
    equal,
    is_list,
    is_number,
    normal,
    size_of,
)
from archdsl.core.work import MAX_STEPS, Work
from archdsl.elaborate.arithmetic import arithmetic
from archdsl.elaborate.budget import MAX_DEPTH
from archdsl.elaborate.called import called
from archdsl.elaborate.cures import range_cure
from archdsl.elaborate.functions import MAX_LIST, MAX_MAGNITUDE, FunctionFault, bounded_list
from archdsl.elaborate.reading import CONSTANTS, ExpressionReader
from archdsl.elaborate.scope import Scope, origin
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archdsl.core.report import Reporter
    from archdsl.core.source import Span

    OnMembership = Callable[[ast.Binary, Value, tuple[Value, ...], Scope], None]

_SIZES = ("channels", "t", "h", "w")  # what `in` has
_IN_CHAINS = "`in` is known inside chains of layers"
_OF_BRANCHES = "write a number of channels, or a line for each"


class Evaluator(ExpressionReader):
    """Evaluator of expressions, with one rule for each kind. The value after a fault, reported once, is UNKNOWN.

    `sizes_used` are the axes whose size decided something: the network is right for that size only. `on_membership` is
    called with each test `x in LIST`, the value of `x`, the elements of the list and the scope.
    """

    def __init__(self, reporter: Reporter, symbols: set[str], work: Work | None = None) -> None:
        super().__init__(reporter, symbols, work)
        self.sizes_used: set[str] = set()
        self.on_membership: OnMembership | None = None
        self._rules: dict[type, Callable[[Any, Scope], Value]] = {
            ast.Number: self._number,
            ast.String: self._string,
            ast.Name: self._name,
            ast.InHand: self._in_hand,
            ast.List: self._list,
            ast.Comprehension: self._comprehension,
            ast.Range: self._range,
            ast.Unary: self._unary,
            ast.Binary: self._binary,
            ast.Conditional: self._conditional,
            ast.Index: self._index,
            ast.Call: self._call,
            ast.Label: self._label,
        }

    def evaluate(self, expr: ast.Expr, scope: Scope) -> Value:
        budget, work = self.budget, self.work
        work.steps += 1  # `step` and `enter` without their calls, as every expression comes through here
        budget.depth += 1
        if work.steps > MAX_STEPS or budget.depth > MAX_DEPTH:
            raise budget.beyond(expr.span)
        value = self._rules[type(expr)](expr, scope)
        budget.depth -= 1
        return value

    def _number(self, expr: ast.Number, _scope: Scope) -> Value:
        if expr.value.numerator > MAX_MAGNITUDE * expr.value.denominator:
            return self.faults.report("E0703", expr.span, f"larger than {MAX_MAGNITUDE:,}")
        return normal(expr.value)

    def _string(self, expr: ast.String, _scope: Scope) -> Value:
        return expr.value

    def _name(self, expr: ast.Name, scope: Scope) -> Value:
        binding = scope.find(expr.id)
        if binding is not None:
            return binding.value
        if expr.id in CONSTANTS:
            return CONSTANTS[expr.id]
        if expr.id in self.symbols:
            return Symbol(expr.id)
        return self.faults.report_name(expr, scope, {*CONSTANTS, *self.symbols})

    def _label(self, expr: ast.Label, _scope: Scope) -> Value:
        return self.faults.report("E0301", expr.span, f"`{expr.text}` names a value with which chains begin")

    def _in_hand(self, expr: ast.InHand, scope: Scope) -> Value:
        value = scope.find_in_hand()
        if value is None:
            return self.faults.report("E0201", expr.span, "no value is in hand here", _IN_CHAINS)
        if expr.attribute not in _SIZES:
            hint = did_you_mean(expr.attribute, _SIZES)
            hint = hint if hint.startswith("did") else "its sizes are `in.channels`, `in.t`, `in.h` and `in.w`"
            return self.faults.report("E0201", expr.span, f"a value has no `{expr.attribute}`", hint)
        if expr.attribute == "channels" and isinstance(value, MixedGrid):
            return self.faults.report("E0501", expr.span, f"the channels are {value.widths}", _OF_BRANCHES)
        if expr.attribute != "channels":
            self.sizes_used.add(expr.attribute)
        return UNKNOWN if isinstance(value, Unknown) else getattr(value, expr.attribute)

    def _list(self, expr: ast.List, scope: Scope) -> Value:
        return self._collected([self.evaluate(item, scope) for item in expr.items], expr.span)

    def _comprehension(self, expr: ast.Comprehension, scope: Scope) -> Value:
        items = [
            self.evaluate(expr.item, inner)
            for inner in self.loop(expr.names, expr.iterable, scope)
            if expr.test is None or self.truth(expr.test, inner) is True
        ]
        return self._collected(items, expr.span)

    def _collected(self, items: Sequence[Value], span: Span) -> Value:
        """A list of values, unless one of them is not known."""
        self.budget.step(span, len(items))
        if any(isinstance(i, Unknown) for i in items):
            return UNKNOWN
        try:
            return bounded_list(Items(items))
        except FunctionFault as fault:
            return self.faults.report(fault.code, span, fault.message)

    def _range(self, expr: ast.Range, scope: Scope) -> Value:
        start = self.whole(expr.start, scope, minimum=-MAX_MAGNITUDE)
        if expr.stop is None:
            return UNKNOWN if isinstance(start, Unknown) else Endless(start)
        stop = self.whole(expr.stop, scope, minimum=-MAX_MAGNITUDE)
        if isinstance(start, Unknown) or isinstance(stop, Unknown):
            return UNKNOWN
        if stop - start >= MAX_LIST:
            return self.faults.report("E0703", expr.span, f"a list of more than {MAX_LIST:,} elements")
        self.budget.step(expr.span, max(0, stop - start))
        return Items(range(start, stop + 1))

    def _unary(self, expr: ast.Unary, scope: Scope) -> Value:
        if expr.operator == "not":
            truth = self.truth(expr.operand, scope)
            return truth if isinstance(truth, Unknown) else not truth
        value = self.evaluate(expr.operand, scope)
        if isinstance(value, Unknown) or is_number(value):
            return value if isinstance(value, Unknown) else 0 - value
        return self.faults.report_value("E0301", expr.operand, scope, f"expected a number, found {describe(value)}")

    def _binary(self, expr: ast.Binary, scope: Scope) -> Value:
        if expr.operator in ("and", "or"):
            return self._junction(expr, scope)
        left, right = self.evaluate(expr.left, scope), self.evaluate(expr.right, scope)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return UNKNOWN
        if expr.operator in ("==", "!=", "in"):
            return self._comparison(expr, left, right, scope)
        if expr.operator == "+" and is_list(left) and is_list(right):
            return self._collected([*left, *right], expr.span)
        return arithmetic(expr, left, right, scope, self)

    def _junction(self, expr: ast.Binary, scope: Scope) -> Value:
        left = self.truth(expr.left, scope)
        if isinstance(left, Unknown) or left is (expr.operator == "or"):
            return left
        return self.truth(expr.right, scope)

    def _comparison(self, expr: ast.Binary, left: Value, right: Value, scope: Scope) -> Value:
        """Compare values of any kind."""
        self.budget.step(expr.span, size_of(left) + size_of(right))
        if expr.operator != "in":
            return equal(left, right) is (expr.operator == "==")
        if not is_list(right):
            return self.faults.report_value("E0301", expr.right, scope, f"expected a list, found {describe(right)}")
        if self.on_membership is not None:
            self.on_membership(expr, left, right, scope)
        return any(equal(left, element) for element in right)

    def _conditional(self, expr: ast.Conditional, scope: Scope) -> Value:
        test = self.truth(expr.test, scope)
        if isinstance(test, Unknown):
            return UNKNOWN
        return self.evaluate(expr.then if test else expr.otherwise, scope)

    def _index(self, expr: ast.Index, scope: Scope) -> Value:
        items = self.items(expr.value, scope)
        index = self.whole(expr.index, scope, minimum=-MAX_LIST)
        if isinstance(items, Unknown) or isinstance(index, Unknown):
            return UNKNOWN
        if not -len(items) <= index < len(items):
            notes = [Note("the list", origin(expr.value, scope).span)]
            label = f"element {int(index)} of a list of {len(items)}, counted from 0"
            counter = scope.find(expr.index.id) if isinstance(expr.index, ast.Name) else None
            place = counter.span if counter is not None else None
            hint = range_cure(place, int(index), len(items)) if place is not None else ""
            return self.faults.report("E0309", expr.index.span, label, hint, notes)
        return items[index]

    def _call(self, expr: ast.Call, scope: Scope) -> Value:
        return called(expr, scope, self)
