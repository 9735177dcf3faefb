"""The graph of the lines of one layer: each layer of a line is applied to the branches that the line has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import Note
from archdsl.core.values import UNKNOWN, Unknown
from archdsl.core.work import LAYER
from archdsl.elaborate.context import LOST, Context, Flow
from archdsl.elaborate.faults import producer
from archdsl.elaborate.graph import MAX_LAYERS, MAX_SOURCES, GraphBuilder
from archdsl.elaborate.line_labels import Names, line_labels
from archdsl.elaborate.line_views import Bundle, View, shown
from archdsl.elaborate.outward import literal, outward
from archdsl.elaborate.shapes import infer
from archdsl.frontend import ast
from archdsl.ir.network import Node
from archdsl.ir.regions import Block, around
from archdsl.layers.attention_arguments import TOKEN
from archdsl.layers.attention_lines import OUTSIDE, Application, Origin, X
from archdsl.layers.base import ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid
    from archdsl.core.source import Span
    from archdsl.elaborate.graph import Applied
    from archdsl.ir.regions import Region
    from archdsl.layers.attention_lines import Lines
    from archdsl.layers.base import Layer

FIRST = 1_000_000  # ids of values in lines, which are no nodes of the network, begin here


class LineGraph(GraphBuilder):
    """The graph of lines in the making. A flow stands for the values of all branches of the line.

    `line` is the line that is applied, `branches` its branches, `view` what layers see at this place, `apart` the calls
    of blocks whose layers branches do not share.
    """

    def __init__(self, outer: GraphBuilder, lines: Lines, entering: Flow) -> None:
        super().__init__(outer.evaluator, outer.reporter)
        self.count = FIRST
        self.outer, self.lines = outer, lines
        self.bundles: dict[int, Bundle] = {entering.node: Bundle({"": Origin(X)}, {"": lines.x})}
        self.places: dict[int, Span] = {}  # where the values stand that are no layer's
        self.line = ""
        self.branches: Sequence[str] = ()
        self.view = View()
        self.made: list[tuple[int, Application]] = []  # of this line, with their nodes
        self.applied: dict[int, list[Application]] = {}  # of all lines, by their nodes
        self.apart: set[Span] = set()
        self.passing: dict[int, int] = {}  # values beside which tokens pass, and the value whose they are
        self.names = Names(outer.evaluator.faults)

    # --- values ---

    def bundle(self, flow: Flow) -> Bundle:
        """Return the values that a flow stands for."""
        if flow.node not in self.bundles:
            shape: Any = flow.shape if isinstance(flow.shape, Unknown) else self.lines.filled(flow.shape)
            self.bundles[flow.node] = Bundle({"": Origin(OUTSIDE - flow.node)}, {"": shape})
            self.lines.externals.append(flow.node)
        return self.bundles[flow.node]

    def hold(self, bundle: Bundle, place: Span | None) -> Flow:
        """Return a flow for values; `place` is where they come from, None for what enters the lines."""
        self.count += 1
        self.bundles[self.count] = bundle
        if place is not None:
            self.places[self.count] = place
        return self.seen(Flow(self.count, UNKNOWN))

    def seen(self, flow: Flow) -> Flow:
        """Return a flow as this place sees its values."""
        bundle = self.bundle(flow)
        return Flow(flow.node, shown({n: self.view.of(bundle.shape(n), n) for n in self.branches}))

    def carries(self, flow: Flow) -> bool:
        """Return True for a value in `grid` beside which the tokens of what enters pass."""
        return bool(self.view.tokens) and self.view.entered in (flow.node, self.passing.get(flow.node))

    def place(self, flow: Flow) -> Span | None:
        if flow.node in self.places:
            return self.places[flow.node]
        if flow.node in self.graph:
            return self.node(flow.node).span
        return self.outer.place(flow) if flow.node < FIRST else None

    # --- layers ---

    def apply(self, layer: Layer, flows: tuple[Flow, ...], context: Context, link: Applied) -> Flow:
        if any(isinstance(f.shape, Unknown) for f in flows):
            return LOST
        layer = outward(layer, context.region)  # shapes are in the terms of the line everywhere
        bundles = [self.bundle(f) for f in flows]
        shapes = self._inferred(layer, bundles, flows, context, link)
        if not shapes:
            return LOST if shapes is None else flows[0]
        self.count += 1
        node = Node(
            self.count, layer, (), (), shapes[self.branches[0]], context.region, link.span, frozen=context.frozen
        )
        self.graph.add_node(self.count, node=node)
        context.region.items.append(self.count)
        self.evaluator.budget.step(link.span, LAYER)
        if len(self.lines.applications) > MAX_LAYERS:
            raise self.reporter.fatal("E0701", link.span, f"more than {MAX_LAYERS:,} layers")
        bundle = Bundle({}, {n: self.view.whole(s, bundles[0].shape(n), n) for n, s in shapes.items()})
        carrier = next((i for i, flow in enumerate(flows) if self.carries(flow)), -1)
        for branches in self._sharing(layer, bundles, context.region):
            application = self._application(layer, bundles, branches, context.region)
            application.carrier, application.shape = carrier, shapes[branches[0]]
            self._leave(bundle, branches, application, bundles)
        self.bundles[self.count] = bundle
        if carrier >= 0:
            self.passing[self.count] = self.view.entered
        return Flow(self.count, shown(shapes))

    def _inferred(
        self, layer: Layer, bundles: Sequence[Bundle], flows: tuple[Flow, ...], context: Context, link: Applied
    ) -> dict[str, Grid] | None:
        """Return the shape of each branch behind a layer: none if the layer changes nothing, None after a fault."""
        seen = {n: [self.view.of(b.shape(n), n) for b in bundles] for n in self.branches}
        if all(layer.selects_all(*shapes) for shapes in seen.values()):
            return {}
        found: dict[str, Grid] = {}
        for branch, shapes in seen.items():
            try:
                found[branch] = infer(layer, self.sound, *shapes)
            except ShapeError as error:
                at_fault = (Flow(flow.node, shape) for flow, shape in zip(flows, shapes, strict=True))
                self._misfit(error, layer, tuple(at_fault), context, link)
                return None
        if isinstance(link, ast.Layer) and len(flows) == 1:
            self._check_order(layer, flows[0].shape, link)
        self._check_heads(layer, link)
        fixed = literal(layer)
        return {} if all(fixed.is_identity(*shapes) for shapes in seen.values()) else found

    def _check_heads(self, layer: Layer, link: Applied) -> None:
        """Warn of a layer that treats the channels of all heads as those of one."""
        heads = max(self.lines.heads(branch) for branch in self.branches)
        if layer.of_one_head and heads > 1 and not self.view.by_head:
            label = f"the channels of {heads} heads are rotated as those of one: no two heads alike"
            self.evaluator.faults.report("W0111", link.span, label, f"`each_head {{ {link.span.text} }}`")

    def _sharing(self, layer: Layer, bundles: Sequence[Bundle], region: Region) -> list[list[str]]:
        """Return the branches that share tensors of a layer: those of one value, and parted ones channel by channel."""
        if any(isinstance(r, Block) and r.span in self.apart for r in around(region)):
            return [[branch] for branch in self.branches]
        found: dict[object, list[str]] = {}
        for branch in self.branches:
            shapes = tuple(self.view.of(b.shape(branch), branch) for b in bundles)
            is_joint = layer.filters_channels(*shapes) and bool(layer.weights(*shapes))
            key = shapes if is_joint else tuple(b.origin(branch) for b in bundles)
            found.setdefault((key, self.view.heads.get(branch)), []).append(branch)
        return list(found.values())

    def _application(self, layer: Layer, bundles: Sequence[Bundle], branches: list[str], region: Region) -> Application:
        """Return a layer applied to branches that share its tensors; its shape is not known yet."""
        firsts = {tuple(b.origin(n) for b in bundles): n for n in reversed(branches)}
        parts = list(dict.fromkeys(tuple(b.origin(n) for b in bundles) for n in branches))
        is_parting = len(parts) == 1 and len(branches) > 1 and layer.parts_branches()
        first, view = branches[0], self.view
        shapes = tuple(view.of(b.shape(first), first) for b in bundles)
        tokens = tuple(view.tokens[firsts[part]] for part in parts) if view.tokens else ()
        stack = len(branches) if is_parting else len(parts)
        application = Application(
            self._name(branches), layer, tuple(parts), shapes, shapes[0], view.heads.get(first, 1), view.by_head,
            region, stack=stack, tokens=tokens,
        )  # fmt: skip
        self.made.append((self.count, application))
        self.applied.setdefault(self.count, []).append(application)
        return application

    def _leave(self, left: Bundle, branches: list[str], application: Application, bundles: Sequence[Bundle]) -> None:
        """Put the values that an application gives to branches into the bundle that leaves."""
        number, parts = len(self.lines.applications), application.inputs
        self.lines.applications.append(application)
        for index, branch in enumerate(branches):
            own = tuple(b.origin(branch) for b in bundles)
            part = index if application.stack > len(parts) else parts.index(own)
            left.origins[branch] = Origin(number, part)
            application.parts += branch.removeprefix(TOKEN) if part == len(application.parts) else ""

    def _name(self, branches: Sequence[str]) -> str:
        prefix = TOKEN if self.line.startswith(TOKEN) else ""
        return prefix + "".join(n.removeprefix(TOKEN) for n in branches)

    def respell(self, number: int, region: Region) -> None:
        """Put a layer of a block that spells it into the region of the caller."""
        node = self.node(number)
        node.region, node.label, node.explicit = region, "", False
        for made, application in self.made:
            if made == number:
                application.region = region
        region.items.append(number)

    # --- lines ---

    def partly_shared(self) -> set[Span]:
        """Return the calls of blocks of which branches share some layers with weights, and others not."""
        letters: dict[Span, set[str]] = {}
        for _, application in self.made:
            if application.layer.weights(*application.shapes):
                for region in around(application.region):
                    if isinstance(region, Block):
                        letters.setdefault(region.span, set()).add(application.letters)
        return {span for span, names in letters.items() if len(names) > 1} - self.apart

    def name_layers(self, region: Region) -> None:
        """Name the layers of a line, and note which of them are frozen."""
        labels = line_labels(region, self.node)
        for number, application in self.made:
            application.path, application.frozen = labels[number], self.node(number).is_frozen
            self.names.take_layer(application, self.node(number).span)
        self.made.clear()

    # --- faults ---

    def sources(self, flows: tuple[Flow, ...], region: Region) -> list[Note]:
        places = {f: self._producer(f, region) for f in flows[:MAX_SOURCES]}
        return [Note(f"{f.shape} comes from here", place) for f, place in places.items() if place is not None]

    def _producer(self, flow: Flow, region: Region) -> Span | None:
        if flow.node in self.places or flow.node in self.graph:
            return self.place(flow)
        outside = flow.node if flow.node < FIRST else self.lines.entry
        return producer(self.outer.graph, outside, region) if outside in self.outer.graph else None

    def _sides(self, body: Flow, around: Flow, region: Region, *, is_taken: bool) -> list[Note]:  # noqa: ARG002
        return self.sources((body, around), region)
