"""Declared types of parameters, of specs, blocks and functions, and the values that are of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import one_of
from archdsl.core.values import Symbol, Value, describe, is_list, type_name

if TYPE_CHECKING:
    from archdsl.frontend import ast

_CALLED = {
    "int": "a whole number",
    "number": "a number",
    "bool": "`on` or `off`",
    "string": "a text in quotes",
    "symbol": "a word",
    "list": "a list",
    "size": "a whole number, or a list of three for t, h and w",
}


def choice_words(kind: ast.Type | None) -> list[str]:
    """Return the words of a declared choice; none for other types."""
    return [n.id for n in kind.names] if kind is not None and kind.is_choice else []


def mismatch(value: Value, kind: ast.Type) -> str:
    """Return the reason why a value is not of a type; empty if it is."""
    if kind.is_choice:
        words = choice_words(kind)
        if isinstance(value, Symbol) and value.name in words:
            return ""
        quoted = " in quotes: a word has none" if isinstance(value, str) and value in words else ""
        return f"must be {one_of(words)}, found {describe(value)}{quoted}"
    wanted = kind.names[0].id
    if wanted in ("value", "block"):
        return f"is of the type `{wanted}`, which only parameters of blocks have"
    found = type_name(value)
    if wanted == "size" and (found == "int" or (is_list(value) and [type_name(v) for v in value] == ["int"] * 3)):
        return ""
    if wanted == "list" and is_list(value):
        inner = kind.names[1].id if len(kind.names) > 1 else ""
        bad = [v for v in value if inner and not _is(type_name(v), inner)]
        return f"must be {_called(f'list[{inner}]')}, found {describe(bad[0])} in it" if bad else ""
    if wanted not in _CALLED:
        close = {"float": "number", "str": "string", "boolean": "bool", "integer": "int", "tuple": "list"}.get(wanted)
        return f"has no type `{wanted}`: types are {one_of(tuple(_CALLED))}, or words such as `a | b`" + (
            f"; write `{close}`" if close else ""
        )
    return "" if _is(found, wanted) else f"must be {_called(wanted)}, found {describe(value)}"


def as_declared(value: Value, kind: ast.Type | None) -> Value:
    """Return a value of a type as those that read it find it: a number that is a `size` is one on each axis."""
    is_size = kind is not None and not kind.is_choice and kind.names[0].id == "size"
    return value if not is_size or is_list(value) else (value,) * 3


def _called(kind: str) -> str:
    """Return the words of messages for a type: "a list of whole numbers" for `list[int]`."""
    name, _, inner = kind.removesuffix("]").partition("[")
    many = {"int": "whole numbers", "number": "numbers", "symbol": "words", "string": "texts"}.get(inner, "")
    return _CALLED.get(name, name) + (f" of {many}" if many else "")


def _is(found: str, wanted: str) -> bool:
    return found == wanted or (found == "int" and wanted == "number")


def unlike(value: Value, default: Value) -> str:
    """Return the difference in type between a value and the default that it replaces; empty if there is none."""
    found, wanted = type_name(value), type_name(default)
    if _is(found, wanted):
        return ""
    if is_list(value) and is_list(default):
        inner = wanted.removeprefix("list").strip("[]")
        if not inner or all(_is(type_name(v), inner) for v in value):
            return ""
    return f"must be {_called(wanted)}, as its default {describe(default)}, found {describe(value)}"
