"""Chains of the lines of one layer, where `each_head` and `grid` change what layers see of a value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archdsl.core.values import Unknown
from archdsl.elaborate.apply import ChainApplier
from archdsl.elaborate.context import LOST, Context, Flow
from archdsl.elaborate.line_faults import report_braces, report_heads, report_passing
from archdsl.elaborate.line_sharing import LineSharing
from archdsl.layers.attention_arguments import EACH_HEAD, GRID

if TYPE_CHECKING:
    from archdsl.elaborate.calls import OpenCall
    from archdsl.elaborate.line_graph import LineGraph
    from archdsl.frontend import ast


class LineApplier(ChainApplier):
    """Application of the chains of lines. A flow stands for the values of all branches of the line."""

    nodes: LineGraph
    sharing: LineSharing

    @classmethod
    def within(cls, outer: ChainApplier, nodes: LineGraph) -> LineApplier:
        """Return the applier of lines in a chain of another applier, whose names and blocks they see."""
        made = cls(nodes, outer.evaluator, outer.layers, outer.calls.globals)
        made.binder, made.names, made.calls = outer.binder, outer.names, outer.calls
        made.values.names, made.values.read = outer.names, outer.values.read
        made.sharing = LineSharing(nodes, outer.binder, outer.layers, made.values.made)
        made.sharing.elsewhere = dict.fromkeys((name for _, name in outer.values.made), "outside of these lines")
        return made

    def _close(self, call: OpenCall, result: Flow, flow: Flow, context: Context) -> Flow:  # noqa: ARG002
        """Return the value that leaves a block; shapes of branches are in the terms of the line everywhere."""
        if isinstance(result.shape, Unknown):
            return LOST
        if call.spelling is None:
            call.region.exit = result.node
            context.region.items.append(call.region)
        elif not self.calls.is_spelling(call, result, self.nodes):
            return LOST
        else:
            self.nodes.respell(result.node, context.region)
            self.nodes.node(result.node).frozen = call.region.frozen
        return self.nodes.seen(result)

    def _lines(self, link: ast.Lines, flow: Flow | None, context: Context) -> Flow:  # noqa: ARG002
        label = f"archdsl cannot print `{link.name.id}` in a line of another layer yet"
        hint = "put it in front, in the chain of the stage or block"
        self.evaluator.faults.report("E0513", link.name.span, label, hint)
        return LOST

    def _merge(self, link: ast.Merge, flow: Flow | None, context: Context) -> Flow:
        if link.name.id not in (EACH_HEAD, GRID):
            return super()._merge(link, flow, context)
        flow = self._need(flow, link, context)
        if isinstance(flow.shape, Unknown):
            return LOST
        if report_braces(link, self.evaluator.faults):
            return LOST
        nodes, outer = self.nodes, self.nodes.view
        shapes = {n: nodes.bundle(flow).shape(n) for n in nodes.branches}
        if link.name.id == EACH_HEAD:
            heads = {n: nodes.lines.heads(n) for n in nodes.branches}
            if any(report_heads(link, outer.of(s, n), heads[n], self.evaluator.faults) for n, s in shapes.items()):
                return LOST
            view = replace(outer, heads=heads)
        elif outer.tokens or not any(s.tokens for s in shapes.values()):
            view = outer
        else:
            view = replace(outer, tokens={n: s.tokens for n, s in shapes.items()}, entered=flow.node)
        nodes.view = view
        inside = nodes.seen(flow)
        inner = replace(context.inner(inside), values=context.values.new_child())
        result = self.apply(link.branches[0], inside, inner)
        is_lost = isinstance(result.shape, Unknown) or (
            bool(view.tokens) and report_passing(link, inside, result, nodes, self.evaluator.faults)
        )
        nodes.view = outer
        return LOST if is_lost else nodes.seen(result)
