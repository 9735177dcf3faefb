"""Expressions to values: whole and rational numbers (never rounded), words, lists."""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import Note, did_you_mean, one_of
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
    type_name,
)
from archdsl.core.work import FAULT, FRACTION, MAX_STEPS, Work
from archdsl.elaborate.faults import Places, fraction_notes, function_hint, trail, unknown_name, word_hint
from archdsl.elaborate.functions import FUNCTIONS, MAX_MAGNITUDE, FunctionFault, bounded
from archdsl.elaborate.membership import Memberships
from archdsl.elaborate.scope import Binding, Scope, origin, traced
from archdsl.frontend import ast
from archdsl.layers.attributes import Initialiser

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from archdsl.core.diagnostics import Hint, Notes, SpecError
    from archdsl.core.grid import Grid
    from archdsl.core.report import Reporter
    from archdsl.core.source import Span

MAX_LIST = 100_000  # elements, those of lists in it included
MAX_LIST_DEPTH = 20
MAX_DEPTH = 120  # expressions and chains inside each other, those that names stand for included

_SIZES = ("channels", "t", "h", "w")  # what `in` has
_CONSTANTS: dict[str, Value] = {"on": True, "off": False, "true": True, "false": False}


class Evaluator:
    """Works out expressions. A fault is reported once and gives UNKNOWN, which spreads without further faults."""

    def __init__(self, reporter: Reporter, symbols: set[str], work: Work | None = None) -> None:
        self.reporter = reporter
        self.symbols = symbols
        self.work = work or Work()
        self.depth = 0
        self.sizes_used: set[str] = set()  # axes whose size decided something: the network is right for that size only
        self.memberships = Memberships()
        self.calls: tuple[ast.Layer, ...] = ()  # of the blocks that are open
        self.places = Places()
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
        }

    def evaluate(self, expr: ast.Expr, scope: Scope) -> Value:
        """The value of an expression, or UNKNOWN after a fault was reported."""
        self.work.steps += 1  # `step` and `enter` without their calls, as every expression comes through here
        self.depth += 1
        if self.work.steps > MAX_STEPS or self.depth > MAX_DEPTH:
            raise self._beyond(expr.span)
        value = self._rules[type(expr)](expr, scope)
        self.depth -= 1
        return value

    def enter(self, span: Span) -> None:
        """Goes one level into an expression, or a chain: their depths add up, wherever they stand inside each other.

        Raises:
            SpecError: where that is too deep.
        """
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._beyond(span)

    def leave(self) -> None:
        """Comes out of an expression or a chain."""
        self.depth -= 1

    def choice(self, expr: ast.Expr, scope: Scope, words: Sequence[str]) -> Value:
        """The value of an expression where one of a few words is expected, so that a misspelt one can be told."""
        if isinstance(expr, ast.Name) and expr.id not in self.symbols and not self._knows(expr.id, scope):
            close = did_you_mean(expr.id, words)
            label = f"expected {one_of(words)}, found `{expr.id}`"
            return self.fault("E0301", expr.span, label, close if close.startswith("did you mean") else "")
        return self.evaluate(expr, scope)

    def _knows(self, name: str, scope: Scope) -> bool:
        return name in _CONSTANTS or scope.find(name) is not None

    @contextmanager
    def within(self, call: ast.Layer) -> Generator[None]:
        """Opens a block: faults found meanwhile are shown with this call as the way to them."""
        outer = self.calls
        self.calls = (*outer, call)
        try:
            yield
        finally:
            self.calls = outer

    def step(self, span: Span, count: int = 1) -> None:
        """Counts steps of work, so that no spec takes longer, or more memory, than the budget allows."""
        if not self.work.spend(count):
            raise self._beyond(span)

    def _beyond(self, span: Span) -> SpecError:
        """The error of too deep a nesting, or of too much work."""
        if self.depth > MAX_DEPTH:
            return self.reporter.fatal("E0702", span, f"more than {MAX_DEPTH} expressions and chains inside each other")
        hint = "make lists shorter, and repeats and blocks fewer"
        return self.reporter.fatal("E0705", span, f"more than {MAX_STEPS:,} steps of work", hint=hint)

    def whole(self, expr: ast.Expr, scope: Scope, minimum: int = 0) -> int | Unknown:
        """A whole number that is at least `minimum`."""
        value = self.evaluate(expr, scope)
        if isinstance(value, Unknown):
            return UNKNOWN
        if isinstance(value, Fraction):
            hint = "use floor(), ceil() or round()"
            return self.unfit("E0302", expr, scope, f"{describe(value)} is not a whole number", hint)
        if isinstance(value, bool) or not isinstance(value, int):
            return self.unfit("E0301", expr, scope, f"expected a whole number, found {describe(value)}")
        if value < minimum:
            return self.unfit("E0305", expr, scope, f"expected at least {minimum}, found {int(value)}")
        return value

    def truth(self, expr: ast.Expr, scope: Scope) -> bool | Unknown:
        """A condition."""
        value = self.evaluate(expr, scope)
        if isinstance(value, (bool, Unknown)):
            return value
        return self.unfit("E0301", expr, scope, f"expected a condition, found {describe(value)}")

    def items(self, expr: ast.Expr, scope: Scope) -> tuple[Value, ...] | Unknown:
        """A list that ends."""
        value = self.evaluate(expr, scope)
        if is_list(value) or isinstance(value, Unknown):
            return value
        return self.unfit("E0301", expr, scope, f"expected a list, found {describe(value)}")

    def bind(self, let: ast.Let, scope: Scope) -> None:
        """Give the names of a `let` their values in a scope."""
        for binding in let.bindings:
            value = self.evaluate(binding.value, scope)
            scope.names[binding.name.id] = Binding(value, binding.name.span, binding.value, scope)

    def loop(
        self, names: tuple[ast.Name, ...], iterable: ast.Expr, scope: Scope, in_hand: Grid | Unknown | None = None
    ) -> Iterator[Scope]:
        """A scope for each round of a `for`."""
        values = self.items(iterable, scope)
        if isinstance(values, Unknown):
            return
        written = [_written(part, scope) for part in _parts(iterable, len(names))]
        for index, value in enumerate(values):
            self.step(iterable.span)
            parts = value if len(names) > 1 else (value,)
            if not is_list(parts) or len(parts) != len(names):
                label = f"{len(names)} names for elements such as {describe(value)}"
                self.fault("E0301", iterable.span, label, "`zip(a, b)` gives elements of two values")
                return
            inner = scope.child(in_hand)
            for name, part, place in zip(names, parts, written, strict=True):
                expr, origin_scope = place[index] if index < len(place) else (None, None)
                inner.names[name.id] = Binding(part, name.span, expr, origin_scope)
            yield inner

    def knows(self, code: str, span: Span) -> bool:
        """Whether a fault is known already, so that what there is to say of it need not be found again."""
        self.step(span, FAULT)
        return self.reporter.knows(code, span)

    def fault(self, code: str, span: Span, label: str, hint: Hint = "", notes: Notes = ()) -> Unknown:
        """Reports a fault, with the way into the block that it was found in."""
        self.step(span, FAULT)

        def more() -> list[Note]:
            return [*(notes() if callable(notes) else notes), *trail(self.calls, span)]

        self.reporter.report(code, span, label, more, hint)
        return UNKNOWN

    def unfit(self, code: str, expr: ast.Expr, scope: Scope, label: str, hint: str = "") -> Unknown:
        """A fault of a value, shown where it was first written."""
        first = origin(expr, scope)

        def notes() -> list[Note]:
            fractions = fraction_notes(expr, scope) if code == "E0302" else []
            return fractions + ([] if first is expr else [Note("used here", expr.span)])

        if isinstance(first, ast.Name) and first.id in self.symbols:
            hint = hint or word_hint(first, Symbol(first.id), self.places)
        return self.fault(code, first.span, label, hint, notes)

    def _source_notes(self, expr: ast.Expr, scope: Scope, value: Value) -> list[Note]:
        """Where a value was first written, if that is elsewhere."""
        first = origin(expr, scope)
        return [] if first is expr else [Note(f"{describe(value)} comes from here", first.span)]

    # --- one rule for each kind of expression ---

    def _number(self, expr: ast.Number, _scope: Scope) -> Value:
        if expr.value.numerator > MAX_MAGNITUDE * expr.value.denominator:
            return self.fault("E0703", expr.span, f"larger than {MAX_MAGNITUDE:,}")
        return normal(expr.value)

    def _string(self, expr: ast.String, _scope: Scope) -> Value:
        return expr.value

    def _name(self, expr: ast.Name, scope: Scope) -> Value:
        binding = scope.find(expr.id)
        if binding is not None:
            return binding.value
        if expr.id in _CONSTANTS:
            return _CONSTANTS[expr.id]
        if expr.id in self.symbols:
            return Symbol(expr.id)
        if self.knows("E0201", expr.span) or self.knows("E0210", expr.span):
            return UNKNOWN
        if self.reporter.is_crowded:
            return self.fault("E0201", expr.span, f"nothing is called `{expr.id}` here")
        words = {*_CONSTANTS, *self.symbols}
        said = unknown_name(expr, scope, words, self.places, in_block=bool(self.calls))
        return self.fault(said.code, expr.span, said.label, said.hint, said.notes)

    def _in_hand(self, expr: ast.InHand, scope: Scope) -> Value:
        value = scope.find_in_hand()
        if value is None:
            return self.fault("E0201", expr.span, "no value is in hand here", "`in` is known inside chains of layers")
        if expr.attribute not in _SIZES:
            hint = did_you_mean(expr.attribute, _SIZES)
            return self.fault("E0201", expr.span, f"a value has no `{expr.attribute}`", hint)
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
        self.step(span, len(items))
        return UNKNOWN if any(isinstance(i, Unknown) for i in items) else self._bounded(Items(items), span)

    def _range(self, expr: ast.Range, scope: Scope) -> Value:
        start = self.whole(expr.start, scope, minimum=-MAX_MAGNITUDE)
        if expr.stop is None:
            return UNKNOWN if isinstance(start, Unknown) else Endless(start)
        stop = self.whole(expr.stop, scope, minimum=-MAX_MAGNITUDE)
        if isinstance(start, Unknown) or isinstance(stop, Unknown):
            return UNKNOWN
        if stop - start >= MAX_LIST:
            return self.fault("E0703", expr.span, f"a list of more than {MAX_LIST:,} elements")
        self.step(expr.span, max(0, stop - start))
        return Items(range(start, stop + 1))

    def _unary(self, expr: ast.Unary, scope: Scope) -> Value:
        if expr.operator == "not":
            truth = self.truth(expr.operand, scope)
            return truth if isinstance(truth, Unknown) else not truth
        value = self.evaluate(expr.operand, scope)
        if isinstance(value, Unknown) or is_number(value):
            return value if isinstance(value, Unknown) else 0 - value
        return self.unfit("E0301", expr.operand, scope, f"expected a number, found {describe(value)}")

    def _binary(self, expr: ast.Binary, scope: Scope) -> Value:
        if expr.operator in ("and", "or"):
            left = self.truth(expr.left, scope)
            if isinstance(left, Unknown) or left is (expr.operator == "or"):
                return left
            return self.truth(expr.right, scope)
        left, right = self.evaluate(expr.left, scope), self.evaluate(expr.right, scope)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return UNKNOWN
        if expr.operator in ("==", "!=", "in"):
            self.step(expr.span, size_of(left) + size_of(right))
        if expr.operator in ("==", "!="):
            return equal(left, right) is (expr.operator == "==")
        if expr.operator == "in":
            if is_list(right):
                self.memberships.record(expr, left, right, scope, self)
                return any(equal(left, element) for element in right)
            return self.unfit("E0301", expr.right, scope, f"expected a list, found {describe(right)}")
        if expr.operator == "+" and is_list(left) and is_list(right):
            return self._collected([*left, *right], expr.span)
        return self._arithmetic(expr, left, right, scope)

    def _arithmetic(self, expr: ast.Binary, left: Value, right: Value, scope: Scope) -> Value:
        for value, part in ((left, expr.left), (right, expr.right)):
            if not is_number(value):
                return self.unfit("E0301", part, scope, f"expected a number, found {describe(value)}")
            if isinstance(value, Fraction):
                self.step(expr.span, FRACTION)
        if expr.operator in ("/", "//", "%") and right == 0:
            notes = self._source_notes(expr.right, scope, right)
            return self.fault("E0303", expr.span, f"{describe(left)} {expr.operator} 0", notes=notes)
        value = _OPERATORS[expr.operator](left, right)
        try:
            bounded(value)
        except FunctionFault as fault:
            return self.fault(fault.code, expr.span, fault.message)
        return normal(value) if isinstance(value, Fraction) else value

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
            return self.fault("E0309", expr.index.span, label, notes=notes)
        return items[index]

    def _call(self, expr: ast.Call, scope: Scope) -> Value:
        name = expr.name.id
        if any(a.name is not None for a in expr.arguments):
            named = next(a.name for a in expr.arguments if a.name is not None)
            return self.fault("E0401", named.span, f"`{name}` takes its arguments by position")
        values = tuple([self.evaluate(a.value, scope) for a in expr.arguments])
        if name not in FUNCTIONS and name not in self.symbols:
            hint = partial(function_hint, expr, Initialiser().words)
            return self.fault("E0209", expr.name.span, f"no function `{name}`", hint)
        if any(isinstance(v, Unknown) for v in values):
            return UNKNOWN
        self.step(expr.span, sum(map(size_of, values)) * (FRACTION if name == "sum" else 1))
        if name in FUNCTIONS:
            try:
                value = FUNCTIONS[name](*values)
                return self._bounded(value, expr.span) if is_list(value) else value
            except FunctionFault as fault:
                label = _lengths(expr, values) if fault.code == "E0307" else fault.message
                return self.fault(fault.code, expr.span, label)
            except TypeError:
                kinds = ", ".join(type_name(v) for v in values)
                return self.fault("E0301", expr.span, f"`{name}` cannot be applied to ({kinds})")
        return self._word(expr, values, scope)

    def _word(self, expr: ast.Call, values: tuple[Value, ...], scope: Scope) -> Value:
        """A word with numbers, as in `normal(0.01)`."""
        for argument, value in zip(expr.arguments, values, strict=True):
            if not is_number(value):
                label = f"`{expr.name.id}` takes numbers, found {describe(value)}"
                return self.unfit("E0301", argument.value, scope, label)
        return Symbol(expr.name.id, values)

    def _bounded(self, items: tuple[Value, ...], span: Span) -> Value:
        """A list, if it is not too long, too large with all that is in it, or too deep."""
        if size_of(items) > MAX_LIST:
            label = f"a list of more than {MAX_LIST:,} elements, with those of lists in it"
            return self.fault("E0703", span, label)
        if isinstance(items, Items) and items.depth > MAX_LIST_DEPTH:
            return self.fault("E0702", span, f"more than {MAX_LIST_DEPTH} lists inside each other")
        return items


def _parts(iterable: ast.Expr, count: int) -> Sequence[ast.Expr | None]:
    """What each of the names of a loop runs through."""
    if count == 1:
        return [iterable]
    if isinstance(iterable, ast.Call) and iterable.name.id == "zip" and len(iterable.arguments) == count:
        return [a.value for a in iterable.arguments]
    return [None] * count


def _written(part: ast.Expr | None, scope: Scope) -> list[tuple[ast.Expr, Scope]]:
    """The elements of a list as they stand in the spec; none if it is computed."""
    if part is None:
        return []
    expr, inner = traced(part, scope)
    return [(item, inner) for item in expr.items] if isinstance(expr, ast.List) else []


def _lengths(call: ast.Call, values: Sequence[Value]) -> str:
    """How long each list of a `zip` is."""
    lists = [(a.span.text, len(v)) for a, v in zip(call.arguments, values, strict=True) if is_list(v)]
    counts = [f"`{text}` has {n}" if len(text) <= 40 else f"a list has {n}" for text, n in lists]
    return f"{counts[0]} elements, {', '.join(counts[1:])}"


def _divide(left: Value, right: Value) -> Value:
    """Exact; a whole number stays one, with its formula, where it divides."""
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
