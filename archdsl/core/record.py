"""Records: dataclasses that cost little start-up time.

`dataclass(frozen=True)` compiles six methods for each class. A record has its constructor compiled alone; comparison,
hash and representation are shared, and type checkers alone see that it is frozen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a class a record; records of one class are equal if their compared fields are."""
    made = dataclass(eq=False, repr=False)(cls)
    if made.__eq__ is object.__eq__:
        setattr(made, "__eq__", _equal)  # noqa: B010  unknown to type checkers
        setattr(made, "__hash__", _hash)  # noqa: B010
        setattr(made, "__repr__", _repr)  # noqa: B010
    return made


def _compared(made: Any) -> tuple[Any, ...]:
    return tuple(getattr(made, f.name) for f in made.__dataclass_fields__.values() if f.compare)


def _equal(made: object, other: object) -> bool:
    return type(made) is type(other) and _compared(made) == _compared(other)


def _hash(made: object) -> int:
    return hash((type(made), _compared(made)))


def _repr(made: object) -> str:
    return f"{type(made).__name__}({', '.join(map(repr, _compared(made)))})"
