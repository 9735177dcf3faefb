"""Layers with their inputs to nodes of the graph; where a layer does not fit its inputs, the fault is reported."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import networkx as nx

from archdsl.core.diagnostics import Note
from archdsl.core.values import UNKNOWN, Unknown
from archdsl.core.work import LAYER
from archdsl.elaborate.arguments import argument_of, written
from archdsl.elaborate.context import Context, Flow
from archdsl.elaborate.cures import axes_cure, order_cure
from archdsl.elaborate.faults import grids_hint, producer, residual_hint, residual_notes, used_notes
from archdsl.elaborate.shapes import infer
from archdsl.frontend import ast
from archdsl.ir.network import Node
from archdsl.ir.regions import Shortcut
from archdsl.layers.base import ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from archdsl.core.report import Reporter
    from archdsl.core.source import Span
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.ir.regions import Region, Shape
    from archdsl.layers.base import Layer

MAX_LAYERS = 5_000
MAX_SOURCES = 8  # values of which a diagnostic shows where they come from

Applied = ast.Layer | ast.Merge | ast.Lines | ast.Residual | ast.Lateral  # what puts a layer into the graph


class GraphBuilder:
    """The graph of a network in the making: a node for each layer that is applied, with the shape that it gives."""

    def __init__(self, evaluator: Evaluator, reporter: Reporter) -> None:
        self.graph: nx.DiGraph[int] = nx.DiGraph()
        self.evaluator = evaluator
        self.reporter = reporter
        self.count = 0
        self.sound: set[Hashable] = set()  # layers, with their inputs, whose sizes were found right

    def apply(self, layer: Layer, flows: tuple[Flow, ...], context: Context, link: Applied) -> Flow:
        """Add a layer to a region; its shape is unknown if an input's is, or if it does not fit."""
        shape: Shape = UNKNOWN
        if not any(isinstance(f.shape, Unknown) for f in flows):
            try:
                shape = infer(layer, self.sound, *(f.shape for f in flows))
            except ShapeError as error:
                self._misfit(error, layer, flows, context, link)
        if isinstance(link, ast.Layer) and len(flows) == 1 and not self._check_order(layer, flows[0].shape, link):
            self._check_doubt(layer, flows[0].shape, shape, link)
        flow = self.add_node(layer, flows, shape, context.region, link.span)
        self.node(flow.node).frozen = context.frozen
        context.region.items.append(flow.node)
        return flow

    def _check_order(self, layer: Layer, entering: Shape, link: ast.Layer) -> bool:
        """Warn of arguments as channels in, channels out and kernel, as in PyTorch, and of sizes as [h, w, t].

        Return True if there is a warning.
        """
        label = "three numbers, the first of them the channels that enter, as in PyTorch"
        if not (cure := order_cure(layer, entering, link)):
            label, cure = "kernel and stride in the order [h, w, t]", axes_cure(link)
        if cure:
            self.evaluator.faults.report("W0110", link.span, label, cure)
        return bool(cure)

    def _check_doubt(self, layer: Layer, entering: Shape, shape: Shape, link: ast.Layer) -> None:
        """Warn of a valid layer that computes what is hardly meant."""
        if not isinstance(entering, Unknown) and not isinstance(shape, Unknown) and (remedy := layer.doubt(entering)):
            self.evaluator.faults.report("W0111", link.span, f"gives {shape}", remedy)

    def add_node(self, layer: Layer, flows: tuple[Flow, ...], shape: Shape, region: Region, span: Span) -> Flow:
        """Put a node into the graph. Raise SpecError when there are more than the budget allows."""
        number = self.count
        self.count += 1
        if number > MAX_LAYERS:
            raise self.reporter.fatal("E0701", span, f"more than {MAX_LAYERS:,} layers")
        self.evaluator.budget.step(span, LAYER)
        inputs, input_shapes = tuple(f.node for f in flows), tuple(f.shape for f in flows)
        self.graph.add_node(number, node=Node(number, layer, inputs, input_shapes, shape, region, span))
        for flow in flows:
            if flow.node >= 0:
                self.graph.add_edge(flow.node, number, shape=flow.shape)
        return Flow(number, shape)

    def move(self, number: int, layer: Layer, shape: Shape, region: Region, known: Mapping[int, Shape]) -> None:
        """Give a node what it has in the terms of another region, where values have the shapes `known`, by node."""
        node = self.node(number)
        node.layer, node.shape, node.region, node.label, node.explicit = layer, shape, region, "", False
        node.input_shapes = tuple(known.get(n, s) for n, s in zip(node.inputs, node.input_shapes, strict=True))
        for source, entering in zip(node.inputs, node.input_shapes, strict=True):
            if source >= 0:
                self.graph.edges[source, number]["shape"] = entering

    def node(self, number: int) -> Node:
        return self.graph.nodes[number]["node"]

    def place(self, flow: Flow) -> Span | None:
        """Return where the layer stands that gives a value; None after a fault."""
        return self.node(flow.node).span if flow.node >= 0 else None

    def _misfit(
        self, error: ShapeError, layer: Layer, flows: tuple[Flow, ...], context: Context, link: Applied
    ) -> None:
        """Report that a layer does not fit its inputs, at the attribute that is to blame if there is one."""
        code, hint = error.code, error.hint
        place = link.name.span if isinstance(link, ast.Lines) else link.span
        made = partial(self.sources, flows, context.region)
        notes: Callable[[], list[Note]] = made
        if isinstance(link, ast.Residual):
            code, (body, around) = "E0507", flows
            taken = isinstance(last := context.region.items[-1], Shortcut) and last.exit != last.entry
            is_taken = link.shortcut is not None and taken
            notes = partial(self._sides, body, around, context.region, is_taken=is_taken)
            hint = residual_hint(body.shape, around.shape, link.shortcut is not None, taken)
        elif isinstance(link, (ast.Layer, ast.Merge)):
            argument = argument_of(link, layer, error.attribute)
            if argument is not None:
                place = written(argument, context.scope, error.index)
                used = used_notes(place, argument.span)
                notes = lambda: made() + used  # noqa: E731  # worked out for a new fault alone
        if code == "E0502" and isinstance(link, (ast.Merge, ast.Lateral)):
            hint = hint or grids_hint([f.shape for f in flows], link)
        self.evaluator.faults.report(code, place, error.message, hint, notes)

    def _sides(self, body: Flow, around: Flow, region: Region, *, is_taken: bool) -> list[Note]:
        """Return the places that the shapes of both sides of a residual come from."""
        return residual_notes(self.graph, body, around, region, is_taken)

    def sources(self, flows: tuple[Flow, ...], region: Region) -> list[Note]:
        """Return the places that the shapes of values come from."""
        return [Note(f"{f.shape} comes from here", producer(self.graph, f.node, region)) for f in flows[:MAX_SOURCES]]
