"""Calls in expressions: functions of the language and of the file, and words with numbers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.values import UNKNOWN, Symbol, Unknown, Value, describe, is_list, is_number, size_of, type_name
from archdsl.core.work import CALL, FRACTION, PARAMETER
from archdsl.elaborate.cures import function_cure
from archdsl.elaborate.declared_types import choice_words
from archdsl.elaborate.functions import FUNCTIONS, FunctionFault, bounded_list
from archdsl.elaborate.matching import match, typed
from archdsl.elaborate.scope import Binding, Scope
from archdsl.layers.attributes import Initialiser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.elaborate.fault_reporter import FaultReporter
    from archdsl.elaborate.program import FunctionDef
    from archdsl.elaborate.reading import ExpressionReader
    from archdsl.frontend import ast


def called(expr: ast.Call, scope: Scope, reader: ExpressionReader) -> Value:
    """Return the value of a call, or UNKNOWN after a fault."""
    name = expr.name.id
    found = scope.find_function(name)
    if found is not None:
        return _applied(expr, *found, scope, reader)
    if any(a.name is not None for a in expr.arguments):
        named = next(a.name for a in expr.arguments if a.name is not None)
        return reader.faults.report("E0401", named.span, f"`{name}` takes its arguments by position")
    values = tuple([reader.evaluate(a.value, scope) for a in expr.arguments])
    if name not in FUNCTIONS and name not in reader.symbols:
        hint = partial(function_cure, expr, {*Initialiser().words, *scope.known_functions()})
        return reader.faults.report("E0209", expr.name.span, f"no function `{name}`", hint)
    if any(isinstance(v, Unknown) for v in values):
        return UNKNOWN
    reader.budget.step(expr.span, sum(map(size_of, values)) * (FRACTION if name == "sum" else 1))
    if name in FUNCTIONS:
        return _built_in(expr, values, reader.faults)
    return _word(expr, values, scope, reader.faults)


def _applied(expr: ast.Call, definition: FunctionDef, around: Scope, scope: Scope, reader: ExpressionReader) -> Value:
    """Return the value of a function of the file; `around` has the names that it sees beside its parameters."""
    function, faults = definition.function, reader.faults
    reader.budget.step(expr.span, CALL)
    if definition in reader.opened:
        names = [d.function.name.id for d in reader.opened[reader.opened.index(definition) :]]
        return faults.report("E0207", function.name.span, " → ".join([*names, function.name.id]))
    inner = around.child()
    if not _bound(expr, function, inner, scope, reader):
        return UNKNOWN
    reader.opened.append(definition)
    with faults.within(expr):
        value = reader.evaluate(function.value, inner)
    reader.opened.pop()
    return value


def _bound(call: ast.Call, function: ast.Function, inner: Scope, scope: Scope, reader: ExpressionReader) -> bool:
    """Give the parameters of a function their values; return False if one of them is unknown."""
    given = match(call, [p.name.id for p in function.parameters], reader.faults)
    if given is None:
        return False
    is_known = True
    for parameter in function.parameters:
        name = parameter.name.id
        if name in given:
            place = given[name].value, scope
        elif parameter.default is not None:
            place = parameter.default, inner
        else:
            notes = [Note("declared here", parameter.span)]
            reader.faults.report("E0402", call.name.span, f"`{call.name.id}` needs `{name}`", notes=notes)
            is_known = False
            continue
        value = _value(parameter, place, reader)
        is_known = is_known and not isinstance(value, Unknown)
        inner.names[name] = Binding(value, parameter.name.span, *place)
    return is_known


def _value(parameter: ast.Declaration, place: tuple[ast.Expr, Scope], reader: ExpressionReader) -> Value:
    """Return the value of a parameter of a function, or UNKNOWN after a fault."""
    words = choice_words(parameter.type)
    value = reader.choice(*place, words) if words else reader.evaluate(*place)
    reader.budget.step(place[0].span, PARAMETER + size_of(value))
    return typed(value, parameter, place, reader.faults)


def _built_in(expr: ast.Call, values: Sequence[Value], faults: FaultReporter) -> Value:
    """Return the value of a function of the language."""
    name = expr.name.id
    try:
        value = FUNCTIONS[name](*values)
        return bounded_list(value) if is_list(value) else value
    except FunctionFault as fault:
        label = _lengths(expr, values) if fault.code == "E0307" else fault.message
        return faults.report(fault.code, expr.span, label)
    except TypeError:
        kinds = ", ".join(type_name(v) for v in values)
        return faults.report("E0301", expr.span, f"`{name}` cannot be applied to ({kinds})")


def _word(expr: ast.Call, values: tuple[Value, ...], scope: Scope, faults: FaultReporter) -> Value:
    """Return a word with numbers, as in `normal(0.01)`."""
    for argument, value in zip(expr.arguments, values, strict=True):
        if not is_number(value):
            label = f"`{expr.name.id}` takes numbers, found {describe(value)}"
            return faults.report_value("E0301", argument.value, scope, label)
    return Symbol(expr.name.id, values)


def _lengths(call: ast.Call, values: Sequence[Value]) -> str:
    """Return the length of each list of a `zip`."""
    lists = [(a.span.text, len(v)) for a, v in zip(call.arguments, values, strict=True) if is_list(v)]
    counts = [f"`{text}` has {n}" if len(text) <= 40 else f"a list has {n}" for text, n in lists]
    return f"{counts[0]} elements, {', '.join(counts[1:])}"
