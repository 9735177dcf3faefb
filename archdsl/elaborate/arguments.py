"""Arguments to values: which argument is meant for which attribute or parameter, and whether its value suits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import Note, did_you_mean
from archdsl.core.sym import Sym, substitute
from archdsl.core.values import UNKNOWN, Unknown, Value, is_list, size_of
from archdsl.core.work import PARAMETER
from archdsl.elaborate.cures import attribute_cure, missing_cure, rounding_cure, word_cure
from archdsl.elaborate.declared_types import as_declared, choice_words
from archdsl.elaborate.earlier import refuses_settings
from archdsl.elaborate.faults import fraction_notes, hidden_word, used_notes, word_hint
from archdsl.elaborate.matching import match, typed
from archdsl.elaborate.program import is_block, is_value
from archdsl.elaborate.scope import Binding, Scope, origin
from archdsl.frontend import ast
from archdsl.ir.signature import BlockArguments
from archdsl.layers.attributes import AttributeFault, Choice, Reference, TokenName
from archdsl.layers.padding import Padding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.core.source import Span
    from archdsl.elaborate.context import Flow, Referred
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.layers.attributes import Attribute
    from archdsl.layers.base import Layer


Called = ast.Layer | ast.Merge | ast.Lines  # what has arguments in a chain


class Binder:
    """Binder of arguments to the attributes of layers and the parameters of blocks."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.faults = evaluator.faults
        self.by_name: dict[str, Referred] = {}  # inputs that layers refer to by name

    # --- layers ---

    def layer(self, cls: type[Layer], link: Called, scope: Scope) -> Layer | None:
        """The layer with its attributes' values, or None after a fault."""
        if refuses_settings(link, self.faults):
            return None
        given = match(link, list(cls.attributes), self.faults)
        if given is None:
            return None
        values: dict[str, Any] = {}
        fine = self._check_exclusive(cls, given)
        for key, attribute in cls.attributes.items():
            if key in given and (cure := _misplaced(cls, key, given[key], scope)):
                label = f"`{key}`: expected {attribute.expects}, found `{given[key].span.text}`"
                self.faults.report("E0301", given[key].span, label, cure)
                fine = False
            elif key in given:
                value = self.converted(attribute, given[key], scope, link.name.id)
                if isinstance(value, Unknown):
                    fine = False
                else:
                    values[key] = value
            elif attribute.required:
                self._missing(link.name, key, hint=missing_cure(link.name.id, cls.attributes, key, link))
                fine = False
        return cls(**values) if fine else None

    def _check_exclusive(self, cls: type[Layer], given: Mapping[str, ast.Argument]) -> bool:
        """Return False for two attributes that say the same, which are reported."""
        both = [key for key in cls.exclusive if key in given]
        if len(both) < 2:
            return True
        note = Note("the other one", given[both[0]].span)
        label = f"`{both[0]}` and `{both[1]}` say the same: one at most is given"
        self.faults.report("E0404", given[both[1]].span, label, "leave out one of them", [note])
        return False

    def converted(self, attribute: Attribute[Any], argument: ast.Argument, scope: Scope, layer: str) -> Any:
        """The value of an argument in its attribute's type, or UNKNOWN after a fault."""
        if isinstance(attribute, Reference):
            return self._referred(attribute, argument)
        if isinstance(attribute, TokenName):
            value = self.evaluator.word(argument.value, scope)
        else:
            words = attribute.words if isinstance(attribute, Choice | Padding) else ()
            value = self._value(argument.value, scope, words)
        if isinstance(value, Unknown):
            return UNKNOWN
        self.evaluator.budget.step(argument.span, size_of(value))
        try:
            return attribute.convert(value)
        except AttributeFault as fault:
            place = written(argument, scope, fault.index)
            is_fraction = fault.code == "E0302"

            def notes() -> list[Note]:
                fractions = fraction_notes(argument.value, scope) if is_fraction else []
                return fractions + used_notes(place, argument.span)

            has_words = bool(attribute.words) or attribute.name == "padding"  # here or in other layers
            word = "" if has_words else word_hint(argument.value, value, self.faults.places)
            word = word or hidden_word(argument.value, value, attribute.words)
            hint = fault.hint or word or partial(attribute_cure, attribute, argument, value, layer)
            if is_fraction:
                hint = rounding_cure(argument.value, fault.hint)
                causes = fraction_notes(argument.value, scope)
                cause = causes[0].span if causes else None
                if cause is not None and self.faults.reporter.is_repeated(fault.code, cause, place):
                    return UNKNOWN
            return self.faults.report(fault.code, place, f"`{attribute.name}`: {fault.message}", hint, notes)

    def _referred(self, attribute: Reference, argument: ast.Argument) -> Any:
        """The name of an input of the kind that an attribute asks for, or UNKNOWN after a fault."""
        name = argument.value.id if isinstance(argument.value, ast.Name) else ""
        fitting = [n for n, referred in self.by_name.items() if referred.kind == attribute.kind]
        if name in fitting:
            return name
        label = f"`{attribute.name}`: expected {attribute.expects}, found `{argument.value.span.text}`"
        hint = did_you_mean(name, fitting) or f"`{attribute.example}` declares one"
        return self.faults.report("E0301", argument.value.span, label, hint)

    def referred(self, layer: Layer) -> tuple[list[Flow], str]:
        """The values that a layer reads besides its input, by the names of inputs, and the word for what they hold."""
        keys = [key for key, kind in layer.attributes.items() if isinstance(kind, Reference)]
        found = [self.by_name[name] for key in keys if (name := layer.values()[key])]
        count = 2 if layer.reads_clip else 1
        return [flow for one in found for flow in one.flows[:count]], found[0].noun if found else ""

    # --- blocks ---

    def block(self, block: ast.Block, call: ast.Layer, inside: Scope, outside: Scope) -> BlockArguments | None:
        """Give the parameters of a block their values in the scope of its body, and return them.

        None after a fault that leaves a parameter without a value.
        """
        given = match(call, [p.name.id for p in block.parameters], self.faults)
        if given is None:
            return None
        arguments = BlockArguments()
        complete = True
        for parameter in block.parameters:
            name = parameter.name.id
            if is_block(parameter):
                complete = self._is_given(parameter, given, call) and complete
                continue
            if is_value(parameter):
                complete = self._value_is_given(parameter, given, call) and complete
                continue
            if name in given:
                place = given[name].value, outside
                value = arguments.values[name] = self._value(*place, choice_words(parameter.type))
            elif parameter.default is not None:
                place = parameter.default, inside
                with self.faults.within(call):
                    value = arguments.defaults[name] = self.evaluator.evaluate(*place)
                arguments.values[name] = _outside(value, arguments.values)
            else:
                self._missing(call.name, name, Note("declared here", parameter.span))
                inside.names[name] = Binding(UNKNOWN, parameter.name.span)
                complete = False
                continue
            self.evaluator.budget.step(place[0].span, PARAMETER + size_of(value))
            value = typed(value, parameter, place, self.faults)
            arguments.values[name] = as_declared(arguments.values[name], parameter.type)
            inside.names[name] = Binding(_inside(name, value), parameter.name.span, *place)
        return arguments if complete else None

    def matched(self, call: Called, known: Sequence[str]) -> Mapping[str, ast.Argument]:
        """Return the argument of each of the known names that has one, in a call whose arguments were found right."""
        return {a.name.id if a.name is not None else known[i]: a for i, a in enumerate(call.arguments or ())}

    def _value_is_given(self, parameter: ast.Declaration, given: Mapping[str, ast.Argument], call: ast.Layer) -> bool:
        """Return True if a call gives a parameter of the type `value`, which has no default; else report it."""
        if parameter.default is not None:
            hint = f"leave out the default: `{parameter.name.id}: value`"
            label = "a value is known in a call only, so that it has no default"
            self.faults.report("E0301", parameter.default.span, label, hint)
            return False
        return self._is_given(parameter, given, call)

    def _is_given(self, parameter: ast.Declaration, given: Mapping[str, ast.Argument], call: ast.Layer) -> bool:
        """Return True if a parameter has an argument or a default; else report it."""
        if parameter.name.id in given or parameter.default is not None:
            return True
        self._missing(call.name, parameter.name.id, Note("declared here", parameter.span))
        return False

    # --- both ---

    def _value(self, expr: ast.Expr, scope: Scope, words: Sequence[str]) -> Value:
        return self.evaluator.choice(expr, scope, words) if words else self.evaluator.evaluate(expr, scope)

    def _missing(self, name: ast.Name, wanted: str, *notes: Note, hint: str = "") -> None:
        self.faults.report("E0402", name.span, f"`{name.id}` needs `{wanted}`", hint, notes)


def _misplaced(layer: type[Layer], key: str, argument: ast.Argument, scope: Scope) -> str:
    """Return what to write for the word of another attribute; a variable of that name is none."""
    name = argument.value.id if isinstance(argument.value, ast.Name) else ""
    takes_names = isinstance(layer.attributes[key], Reference | TokenName)
    return word_cure(layer.attributes, key, argument) if name and not takes_names and scope.find(name) is None else ""


def argument_of(link: Called, layer: Layer, attribute: str) -> ast.Argument | None:
    """The argument that gave a layer one of its attributes, if one did."""
    keys = list(layer.attributes)
    named = {a.name.id if a.name is not None else keys[i]: a for i, a in enumerate(link.arguments or ())}
    return named.get(attribute)


def written(argument: ast.Argument, scope: Scope, index: int | None = None) -> Span:
    """Return the span where the value of an argument, or an element of it, is written, behind names and parameters."""
    value = argument.value
    if index is not None and isinstance(value, ast.List):
        return origin(value.items[index], scope).span
    first = origin(value, scope)
    return argument.span if first is value else first.span


def _inside(name: str, value: Value) -> Value:
    """An argument as its block sees it: numbers carry the parameter's name."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Sym(int(value), ("var", name))
    if is_list(value) and value and all(isinstance(v, int) and not isinstance(v, bool) for v in value):
        return tuple(Sym(int(v), ("item", name, i)) for i, v in enumerate(value))
    return value


def _outside(value: Value, arguments: Mapping[str, Any]) -> Value:
    """A default as the block's caller sees it."""
    if isinstance(value, Sym):
        try:
            return substitute(value.formula, arguments)
        except KeyError:  # it depends on the shape that enters
            return int(value)
    return tuple(_outside(v, arguments) for v in value) if is_list(value) else value
