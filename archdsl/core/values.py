"""Values of expressions of the language."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Symbol:
    """A word as a value (`concat`, `msra`), optionally with arguments: `normal(0.01)`."""

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Endless:
    """The infinite range from `start`, for a `zip` with finite lists."""

    start: int


class Unknown:
    """The value of a faulty expression or layer, which propagates without further faults."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = Unknown()

MAX_SHOWN = 40  # characters of a string, in messages
MAX_ELEMENTS = 12  # of a list, in messages
MAX_LEVELS = 3  # of nested lists, in messages

# bool, int, Fraction, str, Symbol, Endless, Unknown, or a tuple of values
Value = Any


class Items(tuple[Value, ...]):
    """A list value with its extent, so that the cost of reading shared sublists is known.

    `size` counts its elements, including those of nested lists; `depth` is the depth of nesting.
    """

    size: int
    depth: int

    def __new__(cls, values: Iterable[Value] = ()) -> Items:
        self = super().__new__(cls, values)
        inner: list[Value] = [v for v in self if is_list(v)]
        self.size = len(self) + sum(map(size_of, inner))
        self.depth = 1 + max((v.depth if isinstance(v, Items) else 1 for v in inner), default=0)
        return self


def size_of(value: Value) -> int:
    """Return the number of elements of a value, including those of nested lists; 1 if it is not a list."""
    if isinstance(value, Items):
        return value.size
    return len(value) if is_list(value) else 1


def equal(one: Value, other: Value) -> bool:
    """Return True if two values are equal; bools are not numbers, so `on` is not 1."""
    if is_list(one) and is_list(other):
        return len(one) == len(other) and all(map(equal, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def is_number(value: Value) -> TypeGuard[int | Fraction]:
    """Return True for a number, but not for `on` and `off`."""
    return isinstance(value, (int, Fraction)) and not isinstance(value, bool)


def is_list(value: Value) -> TypeGuard[tuple[Value, ...]]:
    """Return True for a finite list."""
    return isinstance(value, tuple)


def normal(value: Fraction) -> int | Fraction:
    """Return a fraction, as an `int` if it is whole."""
    return value.numerator if value.denominator == 1 else value


def describe(value: Value, levels: int = MAX_LEVELS) -> str:
    """Format a value for messages, as written in a spec; long or deep lists are truncated."""
    if isinstance(value, bool):
        return "`on`" if value else "`off`"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, Fraction):
        return _decimal(value)
    if isinstance(value, str):
        return f'"{value if len(value) <= MAX_SHOWN else value[: MAX_SHOWN - 1] + "…"}"'
    if isinstance(value, Symbol):
        inside = ", ".join(describe(a) for a in value.arguments)
        return f"`{value.name}({inside})`" if inside else f"`{value.name}`"
    if is_list(value):
        inside = [describe(v, levels - 1) for v in value[:MAX_ELEMENTS]] if levels else []
        more = ["…"] if len(value) > len(inside) else []
        return f"[{', '.join([*inside, *more])}]"
    return f"{value.start}.." if isinstance(value, Endless) else "a value that is not known"


def written(value: Value) -> str:
    """Format a value completely, as text that a spec or `--set` accepts."""
    if is_list(value):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, Symbol) and value.arguments:
        return f"{value.name}({', '.join(map(written, value.arguments))})"
    if isinstance(value, float):  # of a layer's own default
        return _decimal(Fraction(repr(value)))
    return f'"{value}"' if isinstance(value, str) else describe(value).replace("`", "")


def _decimal(value: Fraction) -> str:
    """Format a fraction as `0.5` or `21/2`: a decimal if that is exact and short."""
    text = f"{float(value):g}"
    return text if Fraction(text) == value else f"{value.numerator}/{value.denominator}"


def type_name(value: Value) -> str:
    """Return the name of a value's type in the language."""
    kinds: list[tuple[type, str]] = [
        (bool, "bool"), (int, "int"), (Fraction, "number"), (str, "string"), (Symbol, "symbol"), (Endless, "range"),
    ]  # fmt: skip
    for kind, name in kinds:
        if isinstance(value, kind):
            return name
    if not is_list(value):
        return "unknown"
    names = {type_name(v) for v in value}
    if names == {"int", "number"}:
        names = {"number"}
    return f"list[{names.pop()}]" if len(names) == 1 else "list"
