"""The functions that expressions can call."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from archdsl.core.values import Endless, Items, Value, describe, is_list, is_number, normal, size_of

if TYPE_CHECKING:
    from collections.abc import Callable


MAX_MAGNITUDE = 10**15
MAX_LIST = 100_000  # elements, those of lists in it included
MAX_LIST_DEPTH = 20


class FunctionFault(Exception):
    """A function cannot be applied to its arguments."""

    def __init__(self, message: str, code: str = "E0301") -> None:
        super().__init__(message)
        self.message, self.code = message, code


def bounded(number: int | Fraction) -> int | Fraction:
    """Return a result of arithmetic, within the limits of numbers.

    Raises:
        FunctionFault: if it is beyond them.
    """
    if abs(number) > MAX_MAGNITUDE:
        raise FunctionFault(f"larger than {MAX_MAGNITUDE:,}", "E0703")
    if number.denominator > MAX_MAGNITUDE:
        raise FunctionFault(f"a denominator larger than {MAX_MAGNITUDE:,}", "E0703")
    return number


def bounded_list(items: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return a list that is not too long, too large with all that is in it, or too deep.

    Raises:
        FunctionFault: if it is.
    """
    if size_of(items) > MAX_LIST:
        raise FunctionFault(f"a list of more than {MAX_LIST:,} elements, with those of lists in it", "E0703")
    if isinstance(items, Items) and items.depth > MAX_LIST_DEPTH:
        raise FunctionFault(f"more than {MAX_LIST_DEPTH} lists inside each other", "E0702")
    return items


def _numbers(values: tuple[Value, ...]) -> tuple[int | Fraction, ...]:
    items = values[0] if len(values) == 1 and is_list(values[0]) else values
    if not items:
        raise FunctionFault("an empty list has no smallest and no largest element", "E0309")
    for value in items:
        if not is_number(value):
            raise FunctionFault(f"expected numbers, found {describe(value)}")
    return items


def _smallest(*values: Value) -> Value:
    return min(_numbers(values))


def _largest(*values: Value) -> Value:
    return max(_numbers(values))


def _sum(values: Value) -> Value:
    total: int | Fraction = 0
    for value in _numbers((values,)) if values else ():
        total = bounded(total + value)
    return normal(Fraction(total))


def _length(value: Value) -> Value:
    if not is_list(value):
        raise FunctionFault(f"expected a list, found {describe(value)}")
    return len(value)


def _rounded(rule: Callable[[Fraction], int]) -> Callable[[Value], Value]:
    def apply(value: Value) -> Value:
        if not is_number(value):
            raise FunctionFault(f"expected a number, found {describe(value)}")
        return value if isinstance(value, int) else rule(value)

    return apply


def _zip(*lists: Value) -> Value:
    """Rounds of one element of each list; the lists that end must end together."""
    ending = [v for v in lists if is_list(v)]
    if not ending or not all(is_list(v) or isinstance(v, Endless) for v in lists):
        raise FunctionFault("`zip` takes lists, one of which must end")
    lengths = [len(v) for v in ending]
    if len(set(lengths)) > 1:
        raise FunctionFault(f"lists of {', '.join(map(str, lengths[:-1]))} and {lengths[-1]} elements", "E0307")
    count = lengths[0]
    rows = [v if is_list(v) else tuple(range(v.start, v.start + count)) for v in lists]
    return Items(Items(row) for row in zip(*rows, strict=True))


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "len": _length,
    "min": _smallest,
    "max": _largest,
    "sum": _sum,
    "floor": _rounded(math.floor),
    "ceil": _rounded(math.ceil),
    "round": _rounded(lambda v: math.floor(v + Fraction(1, 2))),
    "zip": _zip,
}
