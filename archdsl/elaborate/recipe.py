"""Evaluation of the `recipe` lines of a spec: hyperparameters of training and testing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import Note, did_you_mean
from archdsl.core.values import Symbol, Unknown
from archdsl.elaborate.arguments import Binder, written
from archdsl.elaborate.scope import Binding, Scope
from archdsl.frontend import ast
from archdsl.ir.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.program import Program


def read_recipe(program: Program, settings: Sequence[ast.Binding], evaluator: Evaluator, scope: Scope) -> Recipe:
    """Return the recipe of a spec, by its own lines, those of its bases and the user's settings."""
    binder = Binder(evaluator)
    said = dict(program.recipe)
    for binding in settings:
        said.pop(binding.name.id, None)
        said[binding.name.id] = binding
    values: dict[str, Any] = {}
    for name, binding in said.items():
        if name not in Recipe.fields:
            label, hint = f"a recipe has no `{name}`", did_you_mean(name, Recipe.fields)
            evaluator.reporter.report("E0401", binding.name.span, label, hint=hint)
        else:
            attribute = Recipe.fields[name]
            words = {word: Binding(Symbol(word)) for word in attribute.words}  # known in this value alone
            values[name] = binder.converted(attribute, _argument(binding), Scope(scope, words), "recipe")
    known = {name: value for name, value in values.items() if not isinstance(value, Unknown)}
    recipe = Recipe(**known)
    for clash in recipe.clashes() if len(known) == len(values) else ():
        *others, last = (binding for name, binding in said.items() if name in clash.names)
        notes = [Note(f"`{b.name.id}` comes from here", b.span) for b in others]
        evaluator.reporter.report(clash.code, written(_argument(last), scope), clash.message, notes, clash.hint)
    return recipe


def _argument(binding: ast.Binding) -> ast.Argument:
    """A binding as an argument of which the value is shown."""
    return ast.Argument(binding.value.span, binding.name, binding.value)
