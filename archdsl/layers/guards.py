"""Wrappers of added layers' methods that report exceptions and wrong return values in the layer's file."""

from __future__ import annotations

import re
from functools import wraps
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import LayerError, Note
from archdsl.core.grid import Grid
from archdsl.layers.added_faults import error_text, layer_error, line_of, same_file
from archdsl.layers.base import ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from archdsl.layers.base import Layer

Fault = str  # a description of a wrong value; empty if the value is right
_GUARDED = "guarded_by_archdsl"


class Returned(NamedTuple):
    """The contract of a method's return value: a description, and a check given layer, value and arguments."""

    expected: str
    fault: Callable[[Layer, Any, tuple[Any, ...]], Fault]


class Guard(NamedTuple):
    """The layer and the file in which faults are reported."""

    kind: str
    file: str
    layer_of: Callable[[Any], Layer] = lambda layer: layer  # returns the layer of the method's object

    def methods(self, cls: type, base: type, returns: Mapping[str, Returned]) -> None:
        """Guard the methods that a class does not inherit from `base`."""
        for name, returned in returns.items():
            if getattr(cls, name) is not getattr(base, name):
                setattr(cls, name, self._method(getattr(cls, name), returned))

    def _method(self, method: Callable[..., Any], returned: Returned) -> Callable[..., Any]:
        """Return a method that reports faults of the layer; a ShapeError of `infer` is a fault of the spec."""
        if hasattr(method, _GUARDED):  # inherited from another added layer
            return method
        if isinstance(method, property):
            return self._property(method, returned)
        name, file = method.__name__, self.file
        first = method.__code__.co_firstlineno if same_file(method.__code__.co_filename, file) else 0

        @wraps(method)
        def call(owner: Any, *arguments: Any, **named: Any) -> Any:
            place = f"`{name}` of the layer `{self.kind}`"
            try:
                value = method(owner, *arguments, **named)
            except LayerError:
                raise
            except (Exception, SystemExit) as error:
                if isinstance(error, ShapeError) and name in ("infer", "check") and not _shape_error(error):
                    raise
                raise self._raised(error, place, arguments, first) from error
            fault = returned.fault(self.layer_of(owner), value, arguments)
            if fault:
                label = f"{place} returned {fault}"
                raise layer_error("E0905", file, label, line=first, hint=f"expected {returned.expected}")
            return value

        setattr(call, _GUARDED, True)
        return call

    def _raised(self, error: BaseException, place: str, arguments: tuple[Any, ...], first: int) -> LayerError:
        """Return the error for an exception in a method, whose first line is `first`."""
        line = line_of(error, self.file) or first
        if isinstance(error, ShapeError):
            fault = _shape_error(error) or "only `infer`, and `check` of a bias, may raise a ShapeError"
            return layer_error("E0904", self.file, f"{place}: {fault}", line=line)
        notes = [Note(f"in {place}, applied to {_inputs(arguments)}")] if _inputs(arguments) else []
        label = error_text(error) if notes else f"{place}: {error_text(error)}"
        return layer_error("E0904", self.file, label, line=line, notes=notes)

    def _property(self, found: property, returned: Returned) -> Any:
        return property(self._method(cast("Any", found.fget), returned))


def _inputs(arguments: tuple[Any, ...]) -> str:
    grids = [a for a in arguments if isinstance(a, Grid)]
    return " and ".join(map(str, grids))


def _shape_error(error: ShapeError) -> Fault:
    fields: tuple[Any, ...] = (error.message, error.attribute, error.code, error.hint)
    if not all(isinstance(f, str) for f in fields):
        return "the arguments of ShapeError must be strings: message, attribute, code, hint"
    return "" if error.code in TITLES else f"{error.code!r} is not an error code; omit it, or see `archdsl explain`"


def line_of_class(cls: type, fault: str) -> int:
    """Return the line that declares the first name in backquotes in a fault, or the first line of the class."""
    import inspect

    try:
        lines, first = inspect.getsourcelines(cls)
    except (OSError, TypeError):
        return 0
    for name in re.findall(r"`(\w+)", fault):
        for number, line in enumerate(lines, start=first):
            if re.match(rf"\s*(def )?{name}\b", line) or f'@layer("{name}"' in line:
                return number
    return first


# --- checks of values ---


def described(value: Any) -> Fault:
    """Return a description of a value with its type."""
    return "None" if value is None else f"{value!r}, of type {type(value).__name__}"


def is_whole(value: Any) -> bool:
    """Return True for an integer that is not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_printable(value: Any) -> bool:
    """Return True if a value can be printed as Python: a number, a string, a bool, None, or a tuple of these."""
    if isinstance(value, tuple):
        return all(map(is_printable, cast("tuple[Any, ...]", value)))
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, (int, str))


def _count(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if is_whole(value) and int(value) >= 0 else described(value)


def _flag(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if isinstance(value, bool) else described(value)


COUNT = Returned("a whole number, 0 or more", _count)
FLAG = Returned("True or False", _flag)
