"""Layers and blocks as arguments of blocks: `unit(64, norm = bn(eps = 1e-3))`."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import replace
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.values import Symbol, Unknown
from archdsl.elaborate.context import GivenBlock
from archdsl.elaborate.outward import literal_value
from archdsl.elaborate.program import is_block
from archdsl.elaborate.scope import Binding, Scope
from archdsl.frontend import ast

if TYPE_CHECKING:
    from archdsl.elaborate.arguments import Binder
    from archdsl.elaborate.context import Context
    from archdsl.elaborate.layer_names import LayerNames
    from archdsl.elaborate.program import Module


class BlockGiver:
    """Values of parameters of the type `block`: those of a call, else the defaults."""

    def __init__(self, binder: Binder, names: LayerNames) -> None:
        self.binder = binder
        self.evaluator = binder.evaluator
        self.names = names

    def give(self, block: ast.Block, link: ast.Layer, inside: Context, context: Context) -> None:
        """Give the parameters of a block their layers and blocks, in the place of its body."""
        arguments = self.binder.matched(link, [p.name.id for p in block.parameters])
        given: dict[str, GivenBlock] = {}
        inside.blocks = given
        for parameter in filter(is_block, block.parameters):
            name = parameter.name.id
            self.evaluator.faults.places.blocks.add(name)
            found = None
            if name in arguments:
                found = self.find(arguments[name].value, parameter, context)
            elif parameter.default is not None:
                with self.evaluator.faults.within(link):
                    found = self.find(parameter.default, parameter, inside)
            given[name] = found or nothing(inside)

    def placed(self, link: ast.Layer, context: Context) -> tuple[ast.Layer, Context] | None:
        """Return what a parameter stands for as a link, and the place that it sees; None after a fault."""
        given = context.blocks[link.name.id]
        if given.link is None:
            return None
        applied, scope = given.link, given.scope
        if link.arguments is not None and applied.arguments is not None:
            notes = [Note("with these", applied.span)]
            label = f"`{link.name.id}` stands for a layer or block that has its arguments"
            self.evaluator.faults.report("E0404", link.span, label, notes=notes)
            return None
        if link.arguments is not None:
            applied, scope = ast.Layer(link.span, applied.name, link.arguments), context.scope
        sees = replace(context, module=given.module, scope=scope, blocks=given.blocks, values=ChainMap(), stages={})
        return applied, sees

    def find(self, expr: ast.Expr, parameter: ast.Declaration, context: Context) -> GivenBlock | None:
        """Return the layer or block that an expression names; None after a fault."""
        if isinstance(expr, ast.Conditional):
            test = self.evaluator.truth(expr.test, context.scope)
            taken = expr.then if test else expr.otherwise
            return None if isinstance(test, Unknown) else self.find(taken, parameter, context)
        link = self._link(expr, context)
        if link is None:
            label = f"`{parameter.name.id}`: expected a layer or a block, found `{expr.span.text}`"
            notes = [Note("its type comes from here", parameter.span)]
            self.evaluator.faults.report("E0301", expr.span, label, "as in `bn` or `bn(eps = 1e-3)`", notes)
            return None
        if link.arguments is None and link.name.id in context.blocks:
            return context.blocks[link.name.id]
        if link.name.id not in context.module.blocks and self.names.find(link.name.id) is None:
            self.names.report_unknown(link, context, first=False)
            return None
        return GivenBlock(*self._literal(link, context), context.blocks)

    def _link(self, expr: ast.Expr, context: Context) -> ast.Layer | None:
        """Return a name or a call as a link; a parameter of the spec stands for its word."""
        if isinstance(expr, ast.Call):
            return ast.Layer(expr.span, expr.name, expr.arguments)
        if not isinstance(expr, ast.Name):
            return None
        binding = context.scope.find(expr.id)
        is_known = expr.id in context.blocks or expr.id in context.module.blocks or self.names.find(expr.id) is not None
        if is_known or binding is None:
            return ast.Layer(expr.span, expr, None)
        word = binding.value
        return ast.Layer(expr.span, ast.Name(expr.span, word.name), None) if isinstance(word, Symbol) else None

    def _literal(self, link: ast.Layer, context: Context) -> tuple[ast.Layer, Module, Scope]:
        """Return a link whose arguments are names of numbers without formulas, as those are of the caller's sizes."""
        if link.arguments is None:
            return link, context.module, context.scope
        scope = context.scope.child()
        arguments: list[ast.Argument] = []
        for number, argument in enumerate(link.arguments):
            value = argument.value
            if isinstance(value, ast.Name) and not self.evaluator.knows(value.id, scope):
                arguments.append(argument)  # a word, or a block for an inner parameter
                continue
            name = ast.Name(value.span, f"{link.name.id}.{number}")
            found = literal_value(self.evaluator.evaluate(value, context.scope))
            scope.names[name.id] = Binding(found, value.span, value, context.scope)
            arguments.append(ast.Argument(argument.span, argument.name, name))
        return ast.Layer(link.span, link.name, tuple(arguments)), context.module, scope


def nothing(inside: Context) -> GivenBlock:
    """Return what stands for a layer or block after a fault."""
    return GivenBlock(None, inside.module, Scope(), {})
