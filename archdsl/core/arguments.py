"""Checks of the Python interface's arguments: an error names the argument, what was found and what was expected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archdsl.core.diagnostics import Diagnostic

MAX_SHOWN = 60  # characters of a value, in messages


def require(name: str, value: object, kinds: type | tuple[type, ...], expected: str) -> None:
    """Raise TypeError if the value of an argument is of none of some types; `expected` describes them in words."""
    if not isinstance(value, kinds):
        message = f"{name} = {shown(value)}: expected {expected}, found {type(value).__name__}"
        raise TypeError(message)


def require_items(name: str, values: Iterable[object], kind: type, expected: str) -> None:
    """Raise TypeError if one of the items of an argument is not of a type; `expected` describes it in words."""
    for value in values:
        if not isinstance(value, kind):
            message = f"{name} = {{{shown(value)}: …}}: expected {expected}, found {type(value).__name__}"
            raise TypeError(message)


def one_of_words(name: str, value: object, known: Iterable[str]) -> str:
    """Return a value that is one of some words.

    Raises:
        ValueError: if it is none of them.
    """
    words = list(known)
    if isinstance(value, str) and value in words:
        return value
    close = closest(value, words) if isinstance(value, str) else []
    hint = f"; did you mean {close[0]!r}?" if close else ""
    message = f"{name} = {shown(value)}: expected {' or '.join(map(repr, words))}{hint}"
    raise ValueError(message)


def flag(name: str, value: object) -> None:
    """Raise TypeError if the value of an argument is not True or False."""
    require(name, value, bool, "True or False")


def class_count(number: object, heads: Iterable[str]) -> int:
    """Return a number of classes.

    Raises:
        ValueError: if it is none, or one for all of several heads with a name.
    """
    if names := ", ".join(filter(None, heads)):
        message = f"num_classes = {shown(number)}: the heads {names} have the numbers of classes that the spec says; "
        raise ValueError(message + "archdsl.load(…, NAME=VALUE) sets its parameters")
    return positive("num_classes", number)


def positive(name: str, value: object) -> int:
    """Return a whole number, 1 or more.

    Raises:
        TypeError: if it is no whole number.
        ValueError: if it is below 1.
    """
    number = whole(value)
    if number is None:
        message = f"{name} = {shown(value)}: expected a whole number, found {type(value).__name__}"
        raise TypeError(message)
    if number < 1:
        message = f"{name} = {number}: expected 1 or more"
        raise ValueError(message)
    return number


def size_in_bytes(name: str, value: object) -> int:
    """Return a size of memory, of text such as `8GiB` or of a number of bytes.

    Raises:
        TypeError: if it is neither.
        ValueError: if it is no size.
    """
    from archdsl.core.sizes import parse_size

    if not isinstance(value, str) and whole(value) is None:
        message = f"{name} = {shown(value)}: expected a size, as in '8GiB', or a whole number of bytes"
        raise TypeError(message)
    try:
        return parse_size(value) if isinstance(value, str) else positive(name, value)
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(name) else f"{name} = {error}") from None


def whole(value: Any) -> int | None:
    """Return a whole number of Python or of another library, such as `numpy.int64`, as an int; None for all else."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    return int(value.__index__())


def names(name: str, value: object) -> tuple[str, ...]:
    """Return a collection of words; a single word stands for a collection of one.

    Raises:
        TypeError: if it is neither.
    """
    if isinstance(value, str):
        return (value,)
    found: tuple[Any, ...] = tuple(value) if hasattr(value, "__iter__") else (value,)  # pyright: ignore[reportArgumentType]
    if not all(isinstance(word, str) for word in found):
        message = f"{name} = {shown(value)}: expected names, as in [{'name'!r}]"
        raise TypeError(message)
    return found


def check_known(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError for the first keyword argument that a function does not take."""
    words = list(known)
    for name in given:
        if name not in words:
            close = closest(name, words)
            hint = f"did you mean {close[0]!r}? " if close else ""
            message = f"{function} takes no argument {name!r}; {hint}it takes {', '.join(words)}"
            raise TypeError(message)


# Arguments of other functions, for those who give them to `load`.
_ELSEWHERE = {
    **dict.fromkeys(("dropout", "drop_path", "checkpointing", "num_classes", "target", "without", "fitted"), "build"),
    "batch": "memory", "level": "diagram", "theme": "diagram",
}  # fmt: skip


def with_functions(faults: Iterable[Diagnostic], given: Iterable[str]) -> Iterator[Diagnostic]:
    """Yield faults of a spec; one of a given argument that another function takes names that function."""
    elsewhere = [name for name in given if name in _ELSEWHERE]
    for fault in faults:
        name = next((n for n in elsewhere if fault.span.source.name.endswith(f"({n}=…)")), "")
        hint = f"`arch.{_ELSEWHERE[name]}({name}=…)` takes it" if name else ""
        if fault.code == "E0308" and fault.help.startswith("did you mean"):
            hint = "; ".join(filter(None, (fault.help, hint)))
        yield replace(fault, help=hint) if name and fault.code in ("E0103", "E0308") else fault


def shown(value: object) -> str:
    """Format a value for a message, truncated if it is long."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
