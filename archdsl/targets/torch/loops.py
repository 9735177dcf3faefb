"""Calls in a row as loops: equal ones, and those that differ in a few of their arguments."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from archdsl.targets.torch.fit import split_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 3  # calls that differ, for a loop to read better than they do
_NAMED = re.compile(r"(\w+)=([\w.+-]+|\([\w., +-]*\))")


def looped(calls: Sequence[str]) -> list[str]:
    """The elements of a list that makes these calls."""
    parts: list[str] = []
    for _, group in groupby(calls, key=_form):
        parts.extend(_loop(list(group)))
    return parts


def _form(call: str) -> tuple[str, ...]:
    """A call without the values of its named arguments."""
    name, arguments = _taken_apart(call)
    return name, *(_NAMED.sub(r"\1=", a) if _NAMED.fullmatch(a) else a for a in arguments)


def _loop(calls: list[str]) -> list[str]:
    if len(set(calls)) == 1:
        return calls if len(calls) == 1 else [f"*({calls[0]} for _ in range({len(calls)}))"]
    name, first = _taken_apart(calls[0])
    columns = list(zip(*(_taken_apart(c)[1] for c in calls), strict=True))
    varying = [i for i, column in enumerate(columns) if len(set(column)) > 1]
    if len(calls) < LEAST:
        return [part for _, group in groupby(calls) for part in _loop(list(group))]
    names = [first[i].partition("=")[0] for i in varying]
    values = [_tuple([a.partition("=")[2] for a in columns[i]]) for i in varying]
    arguments = [f"{a.partition('=')[0]}={a.partition('=')[0]}" if i in varying else a for i, a in enumerate(first)]
    over = values[0] if len(values) == 1 else f"zip({', '.join(values)}, strict=True)"
    return [f"*({name}({', '.join(arguments)}) for {', '.join(names)} in {over})"]


def _tuple(values: list[str]) -> str:
    """A tuple, as a repeated one if it repeats."""
    for period in range(1, len(values) // 2 + 1):
        if len(values) % period == 0 and values == values[:period] * (len(values) // period):
            return f"({', '.join(values[:period])}{',' if period == 1 else ''}) * {len(values) // period}"
    return f"({', '.join(values)})"


def _taken_apart(call: str) -> tuple[str, list[str]]:
    name, _, rest = call.partition("(")
    return name, split_arguments(rest[:-1])
