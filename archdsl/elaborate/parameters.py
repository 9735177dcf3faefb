"""The parameters of a spec: defaults, the user's settings, types and constraints."""

from __future__ import annotations

from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

from archdsl.core.arguments import shown
from archdsl.core.diagnostics import Note, did_you_mean
from archdsl.core.source import Source
from archdsl.core.values import UNKNOWN, Symbol, Unknown, Value, describe, is_list, normal, size_of, type_name, written
from archdsl.elaborate.declared_types import as_declared, choice_words, mismatch, unlike
from archdsl.elaborate.scope import Binding, Scope
from archdsl.frontend import ast
from archdsl.frontend.parse import parse_binding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.core.report import Reporter
    from archdsl.core.source import Span
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.program import FunctionDef

MAX_PENDING = 50


class ParameterScope(Scope):
    """The outermost scope of a spec. Parameters are evaluated on first use, so that their order does not matter."""

    def __init__(
        self,
        declarations: Mapping[str, ast.Declaration],
        settings: Mapping[str, ast.Binding],
        evaluator: Evaluator,
        reporter: Reporter,
        functions: Mapping[str, FunctionDef],
    ) -> None:
        super().__init__(functions=functions)
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
            problem = "" if isinstance(default, Unknown) else unlike(value, default)
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
