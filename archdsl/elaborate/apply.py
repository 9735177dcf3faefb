"""Chains applied to values: the layers of each link added to the graph, blocks opened, branches joined."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from archdsl.core.values import Unknown
from archdsl.core.work import COPY
from archdsl.elaborate.arguments import Binder
from archdsl.elaborate.calls import BlockCalls
from archdsl.elaborate.conditions import condition_of
from archdsl.elaborate.context import LOST, Context, Flow
from archdsl.elaborate.graph import MAX_LAYERS, GraphBuilder
from archdsl.elaborate.layer_names import LayerNames
from archdsl.elaborate.line_faults import report_braces
from archdsl.elaborate.named_values import NamedValues
from archdsl.elaborate.plain_lines import plain_lines
from archdsl.elaborate.scope import Binding, Round, Scope
from archdsl.elaborate.sharing import Sharing
from archdsl.frontend import ast
from archdsl.ir.regions import Block, Shortcut
from archdsl.layers.attributes import GRID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.elaborate.calls import OpenCall
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.program import BlockDef
    from archdsl.layers.base import Layer


class ChainApplier:
    """Application of chains to values, link by link.

    The parts have one job each: `nodes` adds layers to the graph, `names` knows the layers, `values` those that chains
    begin with, `calls` opens blocks, `binder` gives both their arguments.
    """

    def __init__(
        self, nodes: GraphBuilder, evaluator: Evaluator, layers: Mapping[str, type[Layer]], globals_: Scope
    ) -> None:
        self.nodes = nodes
        self.evaluator = evaluator
        self.reporter = evaluator.reporter
        self.layers = layers
        self.binder = Binder(evaluator)
        self.names = LayerNames(layers, self.binder.by_name, evaluator.faults)
        self.values = NamedValues(nodes, self.names, evaluator)
        self.calls = BlockCalls(self.binder, nodes, globals_, layers, self.values)
        self.sharing = Sharing(nodes, self.binder, layers, self.values.made)
        self.repeats = 0

    def apply(self, chain: ast.Chain, flow: Flow | None, context: Context) -> Flow:
        """Return the value at the end of a chain; without a `flow` it must begin with a value of its own."""
        self.evaluator.budget.enter(chain.span)
        for index, step in enumerate(chain.steps):
            self.evaluator.budget.step(step.span)
            flow = self._step(step, flow, context, first=index == 0)
        self.evaluator.budget.leave()
        return self._need(flow, chain, context)

    # --- steps: repeated, named ---

    def _step(self, step: ast.Step, flow: Flow | None, context: Context, *, first: bool) -> Flow | None:
        before = len(context.region.items)
        if step.count is None:
            flow = self._link(step.link, flow, context, first=first)
        else:
            flow = self._repeat(step, step.count, flow, context)
        if step.label is not None:
            self.values.give(step, step.label, flow, context, before)
        return flow

    def _repeat(self, step: ast.Step, count: ast.Expr, flow: Flow | None, context: Context) -> Flow | None:
        number = self.evaluator.whole(count, context.scope)
        if isinstance(number, Unknown):
            return LOST
        if number > MAX_LAYERS:
            label = f"{int(number):,} repeats, at most {MAX_LAYERS:,} layers are made"
            self.evaluator.faults.report_value("E0701", count, context.scope, label)
            return LOST
        before = len(context.region.items)
        rounds = Round("index", step.span, number, is_index=True)
        for index in range(number):
            self.evaluator.budget.step(step.span, COPY)
            inner = replace(context, scope=context.scope.child())
            inner.scope.names["index"] = Binding(index, rounds=rounds)
            flow = self._link(step.link, flow, inner, first=False)
        if isinstance(step.link, ast.Layer):
            self.repeats += 1
            for item in context.region.items[before:]:
                if isinstance(item, Block):
                    item.repeat = self.repeats
        return flow

    # --- links ---

    def _link(self, link: ast.Link, flow: Flow | None, context: Context, *, first: bool) -> Flow | None:
        if isinstance(link, ast.Layer):
            return self._word(link, flow, context, first=first)
        if isinstance(link, ast.Entering):
            return self._entering(link, context, first=first)
        if isinstance(link, ast.Label):
            merge = self.names.as_merge(link)  # `grid{relu}`
            return self._merge(merge, flow, context) if merge else self.values.labelled(link, context, first=first)
        return self._written(link, flow, context)

    def _written(self, link: ast.Braced, flow: Flow | None, context: Context) -> Flow | None:
        """Apply what can stand anywhere in a chain."""
        match link:
            case ast.Merge():
                return self._merge(link, flow, context)
            case ast.Lines():
                return self._lines(link, flow, context)
            case ast.Residual():
                return self._residual(link, flow, context)
            case ast.Choose():
                return self._choose(link, flow, context)
            case ast.Freezing():
                return self._freezing(link, flow, context)
            case ast.Share():
                return self._share(link, self._need(flow, link, context), context)
            case ast.Group():
                return self.apply(link.chain, flow, context)

    def _freezing(self, link: ast.Freezing, flow: Flow | None, context: Context) -> Flow:
        """Apply a chain whose layers are not trained, if the condition holds."""
        truth = link.frozen.test is None or self.evaluator.truth(link.frozen.test, context.scope)
        result = self.apply(link.chain, flow, replace(context, frozen=context.frozen or truth is True))
        return LOST if isinstance(truth, Unknown) else result

    def _share(self, link: ast.Share, flow: Flow, context: Context) -> Flow:
        return self.sharing.apply(link, flow, context, partial(self._link, first=False))

    def _word(self, link: ast.Layer, flow: Flow | None, context: Context, *, first: bool) -> Flow:
        """Apply what a word of a chain names: a value, a block or a layer."""
        name = link.name.id
        if link.arguments is None and name in context.values:
            return self.values.begin(link, name, context, first=first)
        if name in context.blocks:
            placed = self.calls.giver.placed(link, context)
            return LOST if placed is None else self._word(placed[0], flow, placed[1], first=False)
        if name in context.module.blocks:
            return self._call(context.module.blocks[name], link, self._need(flow, link, context), context)
        cls = self.names.find(name)
        if cls is None and link.arguments is None and name in context.stages:
            return self.values.begin(link, name, context, first=first)
        if cls is None:
            self.names.report_unknown(link, context, first=first)
        if cls is None or self.names.is_refused(cls, link):
            return LOST
        if cls.takes_lines:
            return self._lines(plain_lines(link), flow, context)
        return applied(self, cls, link, self._need(flow, link, context), context)

    def _need(self, flow: Flow | None, link: ast.Link | ast.Chain, context: Context) -> Flow:
        """Return the value in hand; where several paths run, a chain must say which it means."""
        if flow is None:
            self.names.report_nothing_in_hand(link, context)
        return flow or LOST

    def _call(self, definition: BlockDef, link: ast.Layer, flow: Flow, context: Context) -> Flow:
        if self.calls.is_refused(definition, link, context):
            return LOST
        call = self.calls.open(definition, link, flow, context)
        if call is None:
            return LOST
        with self.evaluator.faults.within(link):
            result = self.apply(definition.block.chain, call.entering, call.inside)
        return self._close(call, result, flow, context)

    def _close(self, call: OpenCall, result: Flow, flow: Flow, context: Context) -> Flow:
        return self.calls.close(call, result, flow, context)

    def _lines(self, link: ast.Lines, flow: Flow | None, context: Context) -> Flow:
        """Apply a layer that is written in lines."""
        raise NotImplementedError

    def _entering(self, link: ast.Entering, context: Context, *, first: bool) -> Flow | None:
        """Return the value that enters the braces around a chain, with which the chain begins."""
        if not first:
            self.names.report_entering(link)
        return context.entering if first else LOST

    def _choose(self, link: ast.Choose, flow: Flow | None, context: Context) -> Flow | None:
        taken: ast.Choose | ast.Chain | None = link
        while isinstance(taken, ast.Choose):
            truth = self.evaluator.truth(taken.test, context.scope)
            if isinstance(truth, Unknown):
                return LOST
            taken = taken.then if truth else taken.otherwise
        return flow if taken is None else self.apply(taken, flow, context)

    # --- joins ---

    def _merge(self, link: ast.Merge, flow: Flow | None, context: Context) -> Flow:
        cls = self.layers.get(link.name.id)
        if cls is None or not cls.many:
            self.names.report_no_join(link, context)
            return LOST
        if cls.passes_tokens:
            return on_grid(self, cls, link, self._need(flow, link, context), context)
        flows = [self.apply(branch, flow, context.inner(flow)) for branch in link.branches]
        layer = self.binder.layer(cls, link, context.scope)
        return LOST if layer is None else self.nodes.apply(layer, tuple(flows), context, link)

    def _residual(self, link: ast.Residual, flow: Flow | None, context: Context) -> Flow:
        flow = self._need(flow, link, context)
        body = self.apply(link.chain, flow, context.inner(flow))
        around = flow
        if link.shortcut is not None:
            around = self._shortcut(link.shortcut, flow, context)
        return self.nodes.apply(self.layers["add"](strict=True), (body, around), context, link)

    def _shortcut(self, shortcut: ast.Shortcut, flow: Flow, context: Context) -> Flow:
        inner = context.inner(flow)
        truth, condition = True, None
        if shortcut.test is not None:
            truth = self.evaluator.truth(shortcut.test, inner.scope)
            if isinstance(truth, Unknown):
                return LOST
            condition = condition_of(shortcut.test, inner.scope, self.evaluator)
        region = Shortcut(
            parent=context.region, label="shortcut", entry=flow.node, condition=condition, frozen=context.frozen
        )
        inner.region, inner.values, inner.frozen = region, context.values.new_child(), False
        result = self.apply(shortcut.chain, flow, inner) if truth else flow
        self.names.hidden.update(name for name in inner.values.maps[0] if name not in context.values)
        region.exit = result.node
        context.region.items.append(region)
        return result


def on_grid(applier: ChainApplier, cls: type[Layer], link: ast.Merge, flow: Flow, context: Context) -> Flow:
    """Apply the chain of a layer `cls` to the positions of a value, and put the value's tokens beside the result."""
    if report_braces(link, applier.evaluator.faults) or isinstance(flow.shape, Unknown):
        return LOST
    [chain] = link.branches
    if not flow.shape.tokens:
        return applier.apply(chain, flow, context.inner(flow))
    grid = applier.nodes.apply(applier.layers["select"](part=GRID), (flow,), context, link)
    result = applier.apply(chain, grid, context.inner(grid))
    return applier.nodes.apply(cls(), (flow, result), context, link)


def applied(applier: ChainApplier, cls: type[Layer], link: ast.Layer, flow: Flow, context: Context) -> Flow:
    """Apply a layer of one value, and of inputs that it refers to by name."""
    layer = applier.binder.layer(cls, link, context.scope)
    if layer is None:
        return LOST
    referred, noun = applier.binder.referred(layer)
    if referred and isinstance(context.region, Block | Shortcut):
        hint = "put this layer into a line of a stage, beside the block"
        applier.evaluator.faults.report("E0510", link.span, f"blocks and shortcuts take no {noun}", hint)
        return LOST
    return applier.nodes.apply(layer, (flow, *referred), context, link)
