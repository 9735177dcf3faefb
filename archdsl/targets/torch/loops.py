"""Calls in a row as loops: equal ones, and those that differ in a few of their arguments."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from archdsl.targets.python.printer import text
from archdsl.targets.python.tree import (
    Attribute,
    Binary,
    Call,
    Comprehension,
    Expr,
    Items,
    Keyword,
    Literal,
    Name,
    Starred,
    called,
)
from archdsl.targets.torch.free_names import FreeNames
from archdsl.targets.torch.ramps import RampStep

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 3  # calls that differ, for a loop to read better than they do


def looped(calls: Sequence[Call]) -> list[Expr]:
    """Return the elements of a list that makes these calls."""
    parts: list[Expr] = []
    for _, group in groupby(calls, key=_pattern):
        parts.extend(_loop(list(group)))
    return parts


def from_zero(calls: Sequence[Call], spelled: Sequence[Call]) -> list[Call]:
    """Return calls in which one before a loop over rates is part of it: its own rate is zero, and `spelled` there."""
    found = list(calls)
    for index in range(len(calls) - LEAST, -1, -1):
        behind = found[index + 1 : index + LEAST]
        alike = {_pattern(call) for call in (spelled[index], *behind)}
        if len(alike) == 1 and _pattern(found[index]) not in alike and _is_series([spelled[index], *behind]):
            found[index] = spelled[index]
    return found


def _is_series(calls: Sequence[Call]) -> bool:
    """Tell whether calls of one pattern differ by the steps of a ramp alone."""
    columns = zip(*([k.value for k in call.keywords] for call in calls), strict=True)
    varying = [values for values in columns if len(set(map(text, values))) > 1]
    return all(_series(values, "i") is not None for values in varying)


def _pattern(call: Call) -> tuple[str, ...]:
    """Return a call without the values that a loop could go over."""
    blank = [Keyword(k.name, Name("")) if _may_vary(k.value) else k for k in call.keywords]
    return tuple(map(text, (call.function, *call.arguments, *blank)))


def _may_vary(value: Expr) -> bool:
    """Tell whether a value reads well in a list of values: a name, a number, a tuple of numbers."""
    if isinstance(value, Items):
        return all(isinstance(i, (Name, Literal, Attribute, Binary)) for i in value.items)
    return isinstance(value, (Name, Literal, Attribute, RampStep))


def _loop(calls: Sequence[Call]) -> list[Expr]:
    first, texts = calls[0], list(map(text, calls))
    if len(set(texts)) == 1:
        return [first] if len(calls) == 1 else [_times(first, len(calls))]
    if len(calls) < LEAST:
        return [part for _, group in groupby(calls, key=text) for part in _loop(list(group))]
    columns = {k.name: [c.keywords[i].value for c in calls] for i, k in enumerate(first.keywords)}
    varying = {name: values for name, values in columns.items() if len(set(map(text, values))) > 1}
    counter = FreeNames(varying).take("i")
    series = {name: found for name, values in varying.items() if (found := _series(values, counter)) is not None}
    changed = {name: series[name][0] if name in series else Name(name) for name in varying}
    keywords = [Keyword(k.name, changed.get(k.name, k.value)) for k in first.keywords]
    over = {name: _tuple(values) for name, values in varying.items() if name not in series}
    if series:
        over[counter] = next(iter(series.values()))[1]
    targets, iterables = list(map(Name, over)), list(over.values())
    if len(targets) == 1:
        return [Starred(Comprehension(Call(first.function, first.arguments, keywords), targets[0], iterables[0]))]
    zipped = called("zip", iterables, strict=Literal("True"))
    return [Starred(Comprehension(Call(first.function, first.arguments, keywords), Items(targets, ""), zipped))]


def _series(values: Sequence[Expr], counter: str) -> tuple[Expr, Expr] | None:
    """Return a value in terms of a counter, and the numbers that this goes through; None if they are no series."""
    steps = [value for value in values if isinstance(value, RampStep)]
    first = steps[0] if len(steps) == len(values) else None
    if first is None or not isinstance(first.index, int):
        return None
    if [(s.ramp, s.index) for s in steps] != [(first.ramp, first.index + n) for n in range(len(values))]:
        return None
    start = [Literal(first.index)] if first.index else []
    return first.ramp.at(counter), called("range", [*start, Literal(first.index + len(values))])


def _times(call: Call, number: int) -> Expr:
    return Starred(Comprehension(call, Name("_"), called("range", [Literal(number)])))


def _tuple(values: Sequence[Expr]) -> Expr:
    """Return a tuple, as a repeated one if it repeats."""
    texts = list(map(text, values))
    for period in range(1, len(values) // 2 + 1):
        if len(values) % period == 0 and texts == texts[:period] * (len(values) // period):
            return Binary(Items(values[:period]), "*", Literal(len(values) // period))
    return Items(values)
