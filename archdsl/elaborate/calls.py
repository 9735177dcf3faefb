"""Calls of blocks: a region for each, its arguments, and the shapes at its border in the terms of either side."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, NamedTuple

from archdsl.core.diagnostics import Note, did_you_mean
from archdsl.core.grid import Grid, MixedGrid
from archdsl.core.sym import Sym, formula_of, substitute
from archdsl.core.values import Unknown
from archdsl.core.work import CALL
from archdsl.elaborate.context import LOST, Context, Flow
from archdsl.elaborate.given_blocks import BlockGiver
from archdsl.elaborate.layer_names import LATER, named_below
from archdsl.elaborate.outward import in_caller
from archdsl.elaborate.program import is_value
from archdsl.elaborate.scope import Scope
from archdsl.ir.regions import Block
from archdsl.ir.signature import IN_CHANNELS, channels_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from archdsl.elaborate.arguments import Binder
    from archdsl.elaborate.graph import GraphBuilder
    from archdsl.elaborate.named_values import NamedValues
    from archdsl.elaborate.program import BlockDef
    from archdsl.frontend import ast
    from archdsl.ir.regions import Shape

MAX_BLOCK_DEPTH = 40
MAX_SHOWN = 6  # layers of a block that a message shows


class OpenCall(NamedTuple):
    """A call whose block is to be applied: its region, the place of the block's chain, the value that enters."""

    region: Block
    inside: Context
    entering: Flow
    spelling: ast.Name | None  # the kind of the one layer that the block spells, if it does


class BlockCalls:
    """Expansion of calls of blocks, with a region for each; `called` are the blocks called so far."""

    def __init__(
        self, binder: Binder, nodes: GraphBuilder, globals_: Scope, layers: Collection[str], named: NamedValues
    ) -> None:
        self.nodes = nodes
        self.layers = layers
        self.named = named
        self.giver = BlockGiver(binder, named.names)
        self.binder = binder
        self.evaluator = binder.evaluator
        self.globals = globals_
        self.called: set[BlockDef] = set()

    def outer(self, definition: BlockDef) -> Scope:
        """Return the names around a block: the parameters of the spec, or none in a library."""
        return self.globals if definition.module.is_spec else Scope(functions=definition.module.functions)

    def is_refused(self, definition: BlockDef, link: ast.Layer, context: Context) -> bool:
        """Report a block that calls itself, or too many blocks inside each other."""
        reporter = self.evaluator.reporter
        if any(opened is definition for opened in context.opened):
            chain = " → ".join([*(d.block.name.id for d in context.opened), definition.block.name.id])
            reporter.report("E0207", link.span, chain)
            return True
        if len(context.opened) >= MAX_BLOCK_DEPTH:
            reporter.report("E0702", link.span, f"more than {MAX_BLOCK_DEPTH} blocks inside each other")
            return True
        return False

    def open(self, definition: BlockDef, link: ast.Layer, flow: Flow, context: Context) -> OpenCall | None:
        """Give a block its arguments; return None after a fault in them."""
        block = definition.block
        self.evaluator.budget.step(link.span, CALL)
        self.called.add(definition)
        entering = _entering(flow.shape)
        scope = self.outer(definition).child(entering)
        arguments = self.binder.block(block, link, scope, context.scope)
        if arguments is None:
            return None
        given = self.values(block, link, context)
        shapes = {name: value.shape for name, value in given.items()}
        arguments.values |= {channels_of(n): s.channels for n, s in shapes.items() if isinstance(s, Grid)}
        region = Block(
            parent=context.region, label=block.name.id, signature=definition.signature, arguments=arguments,
            entry=flow.node, entering=flow.shape, span=link.span,
            values={name: value.node for name, value in given.items()}, frozen=context.frozen,
        )  # fmt: skip
        with self.evaluator.faults.within(link):
            for let in block.lets:
                self.evaluator.bind(let, scope)
        value = Flow(flow.node, entering)
        inner = {n: Flow(v.node, _entering(v.shape, channels_of(n))) for n, v in given.items()}
        values = ChainMap(dict[str, Flow](), inner)
        inside = Context(scope, region, definition.module, (*context.opened, definition), values, entering=value)
        self.giver.give(block, link, inside, context)
        return OpenCall(region, inside, value, block.spelling)

    def values(self, block: ast.Block, link: ast.Layer, context: Context) -> dict[str, Flow]:
        """Return the values that a call gives to parameters of the type `value`; LOST after a fault."""
        found: dict[str, Flow] = {}
        arguments = self.binder.matched(link, [p.name.id for p in block.parameters])
        for parameter in filter(is_value, block.parameters):
            name, argument = parameter.name.id, arguments[parameter.name.id]
            self.evaluator.faults.places.values.add(name)
            if name in self.layers:
                self.evaluator.reporter.report("E0204", parameter.name.span, f"`{name}` is a layer")
            named = self.named.name_of(argument.value, context)
            found[name] = self.named.find(named, context) or LOST
            if context.value(named) is None:
                known = did_you_mean(named, {**context.stages, **context.values}) if named else ""
                hint = known or "an input, a path, a name given by `as`, or a parameter of the type `value`"
                label = f"`{name}`: expected a value, found `{argument.value.span.text}`"
                notes = [Note("its type comes from here", parameter.span)]
                if below := named_below(argument.value.span):
                    hint, notes = LATER, [Note("named here", below)]
                self.evaluator.faults.report("E0301", argument.value.span, label, hint, notes)
        return found

    def close(self, call: OpenCall, result: Flow, flow: Flow, context: Context) -> Flow:
        """Put the region of a call into that around it, and return the value that leaves.

        Of a spelling of one layer, this layer is put there, with its numbers in the terms of the caller.
        """
        left = Flow(result.node, _leaving(result.shape, call.region))
        if call.spelling is None or isinstance(result.shape, Unknown):
            call.region.exit = result.node
            context.region.items.append(call.region)
            return left
        if not self.is_spelling(call, result, self.nodes):
            return LOST
        known = {value.node: value.shape for value in (*context.values.values(), flow)}
        layer = in_caller(self.nodes.node(result.node).layer, call.region)
        self.nodes.move(result.node, layer, left.shape, context.region, known)
        self.nodes.node(result.node).frozen = call.region.frozen
        context.region.items.append(result.node)
        return left

    def is_spelling(self, call: OpenCall, result: Flow, nodes: GraphBuilder) -> bool:
        """Return True if a block consists of one layer of the kind that it spells; else report it at `as KIND`."""
        items, kind = call.region.items, call.spelling
        assert kind is not None
        made = [nodes.node(i).layer.kind if isinstance(i, int) else i.label for i in items]
        if items == [result.node] and made == [kind.id]:
            return True
        words = ", ".join(f"`{m}`" for m in made[:MAX_SHOWN]) + (", …" if len(made) > MAX_SHOWN else "")
        label = f"`{call.region.title}` is no spelling of one `{kind.id}`: it consists of {words or 'no layer'}"
        hint = f"leave out `as {kind.id}`, or all but one layer of this kind"
        self.evaluator.faults.report("E0510", kind.span, label, hint)
        return False


def _entering(shape: Shape, variable: str = IN_CHANNELS) -> Shape:
    """Return a shape in the terms of the block that it enters, where a variable stands for its channels."""
    return _plain(shape, Sym(shape.channels, ("var", variable))) if isinstance(shape, Grid) else shape


def _leaving(shape: Shape, region: Block) -> Shape:
    """Return a shape that leaves a block in the terms of the caller."""
    if not isinstance(shape, Grid):
        return shape
    values = dict(region.arguments.values)
    if isinstance(region.entering, Grid):  # a value of a parameter may be known where that which enters is not
        values[IN_CHANNELS] = region.entering.channels
    return _plain(shape, substitute(formula_of(shape.channels), values))


def _plain(shape: Grid, channels: int) -> Grid:
    """Return a shape at the border of a block, which the formulas of sizes do not cross: their variables are inside."""
    literal = Grid(channels, int(shape.t), int(shape.h), int(shape.w), shape.tokens)
    return literal if not isinstance(shape, MixedGrid) else MixedGrid.of(literal, shape.widths)
