"""Arguments of calls matched with what they are for: attributes of layers, parameters of blocks and functions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.values import Unknown, Value
from archdsl.elaborate.cures import argument_cure, nested_cure
from archdsl.elaborate.declared_types import as_declared, mismatch
from archdsl.elaborate.scope import Scope, origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.elaborate.fault_reporter import FaultReporter
    from archdsl.frontend import ast

    Call = ast.Layer | ast.Merge | ast.Lines | ast.Call


def match(link: Call, known: Sequence[str], faults: FaultReporter) -> dict[str, ast.Argument] | None:
    """Return the argument of each of the known names that has one, or None after a fault."""
    name = link.name.id
    given: dict[str, ast.Argument] = {}
    possible = set(known)
    fine = True
    for position, argument in enumerate(link.arguments or ()):
        if argument.name is not None:
            key, place = argument.name.id, argument.name.span
        elif position < len(known):
            key, place = known[position], argument.span
        else:
            names = ", ".join(f"`{k}`" for k in known)
            most = f"at most {len(known)} arguments: {names}" if known else "no arguments"
            faults.report("E0403", argument.span, f"`{name}` takes {most}", nested_cure(link, argument))
            return None
        if key not in possible:
            hint = partial(argument_cure, key, argument, known)
            faults.report("E0401", place, f"`{name}` has no `{key}`", hint)
            fine = False
        elif key in given:
            note = Note("first here", given[key].span)
            faults.report("E0404", argument.span, f"`{key}` again", notes=[note])
            fine = False
        else:
            given[key] = argument
    return given if fine else None


def typed(value: Value, parameter: ast.Declaration, place: tuple[ast.Expr, Scope], faults: FaultReporter) -> Value:
    """Return a value of a parameter's declared type, or UNKNOWN after a fault."""
    if parameter.type is None or isinstance(value, Unknown):
        return value
    problem = mismatch(value, parameter.type)
    if not problem:
        return as_declared(value, parameter.type)
    note = Note("its type comes from here", parameter.type.span)
    return faults.report("E0301", origin(*place).span, f"`{parameter.name.id}` {problem}", notes=[note])
