"""The parameters of a spec: defaults, the user's settings, types and constraints."""

from __future__ import annotations

from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

from archdsl.core.arguments import shown
from archdsl.core.diagnostics import Note, did_you_mean, one_of
from archdsl.core.source import Source
from archdsl.core.values import UNKNOWN, Symbol, Unknown, Value, describe, is_list, normal, size_of, type_name, written
from archdsl.elaborate.scope import Binding, Scope
from archdsl.frontend import ast
from archdsl.frontend.parse import parse_binding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.core.report import Reporter
    from archdsl.core.source import Span
    from archdsl.elaborate.evaluate import Evaluator

MAX_PENDING = 50

_CALLED = {
    "int": "a whole number",
    "number": "a number",
    "bool": "`on` or `off`",
    "string": "a text in quotes",
    "symbol": "a word",
    "list": "a list",
    "size": "a whole number, or a list of three for t, h and w",
}


class ParameterScope(Scope):
    """The outermost scope of a spec. Parameters are evaluated on first use, so that their order does not matter."""

    def __init__(
        self,
        declarations: Mapping[str, ast.Declaration],
        settings: Mapping[str, ast.Binding],
        evaluator: Evaluator,
        reporter: Reporter,
    ) -> None:
        super().__init__()
        self.declarations = declarations
        self.settings = settings
        self.evaluator = evaluator
        self.reporter = reporter
        self.pending: list[str] = []
        self.holds = True  # every parameter has a valid value

    def lazy(self, name: str) -> Binding | None:
        declaration = self.declarations.get(name)
        if declaration is None:
            return None
        if name in self.pending:
            chain = " → ".join([*self.pending[self.pending.index(name) :], name])
            hint = "one of them needs a value of its own"
            self.reporter.report("E0304", declaration.span, chain, hint=hint)
            return Binding(UNKNOWN, declaration.name.span)
        if len(self.pending) >= MAX_PENDING:
            label = f"more than {MAX_PENDING} parameters that build on each other"
            raise self.reporter.fatal("E0702", declaration.span, label)
        self.pending.append(name)
        expr = self._given(declaration)
        self.names[name] = Binding(self._value(declaration, expr), declaration.name.span, expr, self)
        self.pending.pop()
        return self.names[name]

    def sees_parameters(self) -> bool:
        return True

    def known(self) -> Any:
        yield from self.names
        yield from self.declarations

    def check(self) -> None:
        """Evaluate every parameter and check its constraint."""
        before = self.reporter.errors
        for name, given in self.settings.items():
            if name not in self.declarations:
                hint = did_you_mean(name, self.declarations) or "`param NAME = VALUE` declares one"
                self.reporter.report("E0308", given.name.span, f"the spec has no parameter `{name}`", hint=hint)
        for name, declaration in self.declarations.items():
            binding = self.find(name)
            if binding is None or isinstance(binding.value, Unknown) or declaration.where is None:
                continue
            if self.evaluator.truth(declaration.where, self) is False:
                note = Note("the constraint", declaration.where.span)
                label = f"{name} = {describe(binding.value)} does not satisfy `{declaration.where.span.text}`"
                self.reporter.report("E0306", self._given(declaration).span, label, [note])
        self.holds = self.reporter.errors == before

    def places(self) -> list[Span]:
        """Return the spans of the parameters' values."""
        return [self._given(declaration).span for declaration in self.declarations.values()]

    def _given(self, declaration: ast.Declaration) -> ast.Expr:
        """Return the effective expression: the user's setting, or else the default."""
        binding = self.settings.get(declaration.name.id)
        expr = binding.value if binding is not None else declaration.default
        if expr is None:
            raise AssertionError
        return expr

    def _value(self, declaration: ast.Declaration, expr: ast.Expr) -> Value:
        kind = declaration.type
        value = self._evaluated(declaration, expr)
        if isinstance(value, Unknown):
            return value
        self.evaluator.budget.step(expr.span, size_of(value))
        if kind is not None:
            problem = mismatch(value, kind)
            place = kind.span
        elif expr is not declaration.default and declaration.default is not None:
            default = self.evaluator.evaluate(declaration.default, self)
            problem = "" if isinstance(default, Unknown) else _unlike(value, default)
            place = declaration.default.span
        else:
            return value
        if not problem:
            return as_declared(value, kind)
        note = Note("its type comes from here", place)
        self.reporter.report("E0301", expr.span, f"`{declaration.name.id}` {problem}", [note])
        return UNKNOWN

    def _evaluated(self, declaration: ast.Declaration, expr: ast.Expr) -> Value:
        """Return the value of a parameter, which may still have the wrong type; an unknown word is one if it has."""
        if words := choice_words(declaration.type):
            return self.evaluator.choice(expr, self, words)
        is_setting = expr is not declaration.default
        if is_setting and isinstance(expr, ast.Name) and not self.evaluator.knows(expr.id, self):
            default = declaration.default
            kind = declaration.type.names[0].id if declaration.type is not None else ""
            if not kind and default is not None:
                kind = type_name(self.evaluator.evaluate(default, self))
            if kind not in ("", "symbol", "unknown"):
                return Symbol(expr.id)
        return self.evaluator.evaluate(expr, self)


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
    if wanted == "value":
        return "is of the type `value`, which only parameters of blocks have"
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


def _unlike(value: Value, default: Value) -> str:
    """Return the difference in type between a value and the default that it replaces; empty if there is none."""
    found, wanted = type_name(value), type_name(default)
    if _is(found, wanted):
        return ""
    if is_list(value) and is_list(default):
        inner = wanted.removeprefix("list").strip("[]")
        if not inner or all(_is(type_name(v), inner) for v in value):
            return ""
    return f"must be {_called(wanted)}, as its default {describe(default)}, found {describe(value)}"


def setting(name: str, value: Any, option: str = "--set") -> ast.Binding:
    """Convert a Python value of a parameter to a binding, as if given by `option`; a string is parsed as its text.

    Raises:
        SpecError: if the text is not a value.
        TypeError: if a Python value has no counterpart.
        ValueError: if it is a number that is not finite.
    """
    try:
        text = value if isinstance(value, str) else as_text(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} = {error}") from None
    return parse_binding(Source(option, f"{name}={text}"))


def as_text(value: Any) -> str:
    """Format a Python value, or one of NumPy or torch, as text of the language.

    Raises:
        TypeError: if it has no counterpart.
        ValueError: if it is a number that is not finite.
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    if isinstance(value, (int, Fraction)):
        number = normal(Fraction(value))
        return str(number) if isinstance(number, int) else f"{number.numerator}/{number.denominator}"
    if isinstance(value, float):
        if not isfinite(value):
            message = f"{value}: expected a finite number"
            raise ValueError(message)
        return as_text(Fraction(repr(float(value))))
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(as_text(v) for v in cast("Sequence[Any]", value)) + "]"
    if hasattr(value, "tolist"):  # an array, a tensor or one of their numbers
        return as_text(value.tolist())
    message = f"{shown(value)}: expected a number, a bool, a word or a list of them, found {type(value).__name__}"
    raise TypeError(message)


def as_python(value: Value) -> Any:
    """Return a value of the language as a Python value, which `setting` converts back.

    Numbers become ints, floats, or Fractions where no float is exact; words and strings become text, ranges and words
    with arguments the text of the language.
    """
    if is_list(value):
        return [as_python(v) for v in value]
    if isinstance(value, Fraction):
        nearest = float(value)
        return nearest if Fraction(repr(nearest)) == value else value
    if isinstance(value, (bool, str)):
        return value
    return int(value) if isinstance(value, int) else written(value)
