"""Checks of the Python interface's arguments: an error names the argument, what was found and what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import closest

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SHOWN = 60  # characters of a value, in messages


def require(name: str, value: object, kinds: type | tuple[type, ...], expected: str) -> None:
    """Raise TypeError if the value of an argument is of none of some types; `expected` describes them in words."""
    if not isinstance(value, kinds):
        message = f"{name} = {shown(value)}: expected {expected}, found {type(value).__name__}"
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


def unknown_argument(function: str, name: str, known: Iterable[str]) -> TypeError:
    """Return the error for a keyword argument that a function does not take."""
    words = list(known)
    close = closest(name, words)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return TypeError(f"{function} takes no argument {name!r}; {hint}it takes {', '.join(words)}")


def shown(value: object) -> str:
    """Format a value for a message, truncated if it is long."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
