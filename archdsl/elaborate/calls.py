"""Calls of blocks: a region for each, its arguments, and the shapes at its border in the terms of either side."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archdsl.core.grid import Grid
from archdsl.core.sym import Sym, formula_of, substitute
from archdsl.core.work import CALL
from archdsl.elaborate.context import Context, Flow
from archdsl.elaborate.scope import Scope
from archdsl.ir.regions import Block
from archdsl.ir.signature import IN_CHANNELS

if TYPE_CHECKING:
    from archdsl.elaborate.arguments import Binder
    from archdsl.elaborate.program import BlockDef
    from archdsl.frontend import ast
    from archdsl.ir.regions import Shape

MAX_BLOCK_DEPTH = 40


class OpenCall(NamedTuple):
    """A call whose block is to be applied: its region, the place of the block's chain, the value that enters."""

    region: Block
    inside: Context
    entering: Flow


class BlockCalls:
    """Expansion of calls of blocks, with a region for each; `called` are the blocks called so far."""

    def __init__(self, binder: Binder, globals_: Scope) -> None:
        self.binder = binder
        self.evaluator = binder.evaluator
        self.globals = globals_
        self.called: set[BlockDef] = set()

    def outer(self, definition: BlockDef) -> Scope:
        """Return the names around a block: the parameters of the spec, or none in a library."""
        return self.globals if definition.module.is_spec else Scope()

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
        region = Block(
            parent=context.region, label=block.name.id, signature=definition.signature, arguments=arguments,
            entry=flow.node, entering=flow.shape, span=link.span,
        )  # fmt: skip
        with self.evaluator.faults.within(link):
            for let in block.lets:
                self.evaluator.bind(let, scope)
        value = Flow(flow.node, entering)
        inside = Context(scope, region, definition.module, (*context.opened, definition), entering=value)
        return OpenCall(region, inside, value)

    def close(self, call: OpenCall, result: Flow, context: Context) -> Flow:
        """Put the region of a call into that around it, and return the value that leaves."""
        call.region.exit = result.node
        context.region.items.append(call.region)
        return Flow(result.node, _leaving(result.shape, call.region))


def _entering(shape: Shape) -> Shape:
    """Return a shape in the terms of the block that it enters."""
    return _plain(shape, Sym(shape.channels, ("var", IN_CHANNELS))) if isinstance(shape, Grid) else shape


def _leaving(shape: Shape, region: Block) -> Shape:
    """Return a shape that leaves a block in the terms of the caller."""
    if not isinstance(shape, Grid):
        return shape
    values = {**region.arguments.values, IN_CHANNELS: region.entering.channels}
    return _plain(shape, substitute(formula_of(shape.channels), values))


def _plain(shape: Grid, channels: int) -> Grid:
    """Return a shape at the border of a block, which the formulas of sizes do not cross: their variables are inside."""
    return Grid(channels, int(shape.t), int(shape.h), int(shape.w), shape.token)
