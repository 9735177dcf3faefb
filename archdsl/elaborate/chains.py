"""Chains to nodes: layers applied, blocks opened, shapes inferred as the nodes are made.

Shapes cannot wait for a pass of their own, because what a spec says may depend on them (`in.channels`); but only this
module knows about places, and only the layers know the rules.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from archdsl.core.diagnostics import Note
from archdsl.core.grid import MAX_ELEMENTS, SIZE_HINT, Grid, count_text
from archdsl.core.names import why_refused
from archdsl.core.sym import Sym, formula_of, substitute
from archdsl.core.values import UNKNOWN, Unknown
from archdsl.core.work import CALL, COPY, LAYER
from archdsl.elaborate.arguments import Binder, argument_of, written
from archdsl.elaborate.conditions import condition_of
from archdsl.elaborate.faults import grids_hint, producer, residual_hint, residual_notes, used_notes
from archdsl.elaborate.meanings import ADDING, layer_meaning
from archdsl.elaborate.scope import Binding, Round, Scope
from archdsl.frontend import ast
from archdsl.ir.network import Node
from archdsl.ir.regions import Block, Shortcut
from archdsl.ir.signature import IN_CHANNELS
from archdsl.layers.attributes import Reference, unsuited
from archdsl.layers.base import ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    import networkx as nx

    from archdsl.core.report import Reporter
    from archdsl.core.source import Span
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.program import BlockDef, Module
    from archdsl.ir.regions import Inner, Region, Shape
    from archdsl.layers.base import Layer

MAX_LAYERS = 5_000
MAX_BLOCK_DEPTH = 40
MAX_MACS = 10**16  # of one layer, for one clip; an attention map has fewer elements


class Flow(NamedTuple):
    """A value on its way: the node that gives it, and its shape as seen from here."""

    node: int
    shape: Shape


MAX_SOURCES = 8  # values of which a diagnostic shows where they come from

LOST = Flow(-1, UNKNOWN)  # after a fault
Applied = ast.Layer | ast.Merge | ast.Residual | ast.Lateral  # what puts a layer into the graph


@dataclass
class Context:
    """Where a chain stands: its names, its region, the values that it can begin with, the blocks that it can use."""

    scope: Scope
    region: Region
    module: Module
    opened: tuple[BlockDef, ...] = ()  # the outermost first
    values: ChainMap[str, Flow] = field(default_factory=ChainMap[str, "Flow"])  # those named here before all others

    def inner(self, shape: Shape) -> Context:
        """The same place, inside braces that `in` refers to."""
        return replace(self, scope=self.scope.child(shape))


class Builder:
    """Makes nodes of chains."""

    def __init__(
        self,
        graph: nx.DiGraph[int],
        evaluator: Evaluator,
        reporter: Reporter,
        layers: Mapping[str, type[Layer]],
        globals_: Scope,
    ) -> None:
        self.graph = graph
        self.evaluator = evaluator
        self.reporter = reporter
        self.layers = layers
        self.globals = globals_
        self.binder = Binder(evaluator)
        self.count = 0
        self.repeats = 0
        self.hidden: set[str] = set()  # names given in the middle of a line that is over
        self.called: set[BlockDef] = set()
        self.read: set[str] = set()  # names of the values that chains have begun with
        self.dropped: Mapping[str, ast.Name] = {}  # paths that a variant drops
        self.sound: set[Hashable] = set()  # layers, with their inputs, whose sizes were found right

    # --- chains ---

    def chain(self, chain: ast.Chain, flow: Flow | None, context: Context) -> Flow:
        """The value at the end of a chain. `flow` is None where the chain must begin with a value of its own."""
        self.evaluator.enter(chain.span)
        for index, step in enumerate(chain.steps):
            self.evaluator.step(step.span)
            flow = self._step(step, flow, context, first=index == 0)
        self.evaluator.leave()
        return self._need(flow, chain, context)

    def _step(self, step: ast.Step, flow: Flow | None, context: Context, *, first: bool) -> Flow | None:
        before = len(context.region.items)
        if step.count is None:
            flow = self._link(step.link, flow, context, first=first)
        else:
            flow = self._repeat(step, step.count, flow, context)
        if step.label is not None:
            self._label(step.label, flow, context, before)
        return flow

    def _repeat(self, step: ast.Step, count: ast.Expr, flow: Flow | None, context: Context) -> Flow | None:
        number = self.evaluator.whole(count, context.scope)
        if isinstance(number, Unknown):
            return LOST
        if number > MAX_LAYERS:
            label = f"{int(number):,} repeats, at most {MAX_LAYERS:,} layers are made"
            self.evaluator.unfit("E0701", count, context.scope, label)
            return LOST
        before = len(context.region.items)
        rounds = Round("index", step.span, number, is_index=True)
        for index in range(number):
            self.evaluator.step(step.span, COPY)
            inner = replace(context, scope=context.scope.child())
            inner.scope.names["index"] = Binding(index, rounds=rounds)
            flow = self._link(step.link, flow, inner, first=False)
        if isinstance(step.link, ast.Layer):
            self.repeats += 1
            for item in context.region.items[before:]:
                if isinstance(item, Block):
                    item.repeat = self.repeats
        return flow

    def _label(self, label: ast.Name, flow: Flow | None, context: Context, before: int) -> None:
        refused = why_refused(label.id)
        if not refused and (label.id in self.layers or label.id in context.module.blocks):
            refused = f"`{label.id}` is a layer or a block"
        if refused:
            self.reporter.report("E0204", label.span, refused)
        if label.id in context.values:
            before_ = context.values[label.id].node
            notes = [Note("first here", self.graph.nodes[before_]["node"].span)] if before_ >= 0 else []
            self.reporter.report("E0203", label.span, f"`{label.id}` is defined before", notes)
        context.values[label.id] = flow or LOST
        made = context.region.items[before:]
        if len(made) == 1:
            item: Node | Inner = self.graph.nodes[made[0]]["node"] if isinstance(made[0], int) else made[0]
            item.label = label.id
            if isinstance(item, Node | Block):
                item.explicit = True

    def _link(self, link: ast.Link, flow: Flow | None, context: Context, *, first: bool) -> Flow | None:
        if isinstance(link, ast.Layer):
            return self._layer(link, flow, context, first=first)
        if isinstance(link, ast.Merge):
            return self._merge(link, flow, context)
        if isinstance(link, ast.Residual):
            return self._residual(link, flow, context)
        if isinstance(link, ast.Choose):
            return self._choose(link, flow, context)
        return self.chain(link.chain, flow, context)

    def _choose(self, link: ast.Choose, flow: Flow | None, context: Context) -> Flow | None:
        taken: ast.Choose | ast.Chain | None = link
        while isinstance(taken, ast.Choose):
            truth = self.evaluator.truth(taken.test, context.scope)
            if isinstance(truth, Unknown):
                return LOST
            taken = taken.then if truth else taken.otherwise
        return flow if taken is None else self.chain(taken, flow, context)

    def _layer(self, link: ast.Layer, flow: Flow | None, context: Context, *, first: bool) -> Flow:
        name = link.name.id
        if link.arguments is None and name in context.values:
            if first:
                self.read.add(name)
                return context.values[name]
            hint = "to join values, write `concat { a, b }` or `add { a, b }`"
            self.reporter.report("E0105", link.span, f"the value `{name}` can only begin a chain", hint=hint)
            return LOST
        if name in context.module.blocks:
            return self._call(context.module.blocks[name], link, self._need(flow, link, context), context)
        cls = self.layers.get(name)
        if cls is None or cls.internal:
            self._unknown_layer(link, context, first=first)
            return LOST
        if cls.many:
            inside = ", ".join(a.span.text for a in link.arguments or ()) if link.arguments else "a -> …, b -> …"
            hint = f"braces hold the branches: `{name} {{ {inside} }}`"
            self.reporter.report("E0405", link.span, f"`{name}` takes several values", hint=hint)
            return LOST
        layer = self.binder.layer(cls, link, context.scope)
        flow = self._need(flow, link, context)
        if layer is None:
            return LOST
        names = [getattr(layer, key) for key, kind in layer.attributes.items() if isinstance(kind, Reference)]
        referred = [self.binder.indices[name] for name in names if name]
        if referred and isinstance(context.region, Block | Shortcut):
            hint = "put this layer into a line of a stage, beside the block"
            self.evaluator.fault("E0510", link.span, "blocks and shortcuts take no numbers of frames", hint)
            return LOST
        return self.apply(layer, (flow, *referred), context, link)

    def _need(self, flow: Flow | None, link: ast.Layer | ast.Residual | ast.Chain, context: Context) -> Flow:
        """The value in hand, or at the end of a chain; where several paths run, a chain must say which it means."""
        if flow is not None:
            return flow

        def hint() -> str:
            names = [f"`{n}`" for n in sorted(context.values)]
            return "begin the chain with " + " or ".join(names if len(names) < 12 else [*names[:11], "…"])

        label = "no value is in hand here" + (", several are known" if len(context.values) > 1 else "")
        if isinstance(link, ast.Chain):
            label = "this begins with no value, and makes none"
        self.reporter.report("E0602", link.span, label, hint=hint)
        return LOST

    def _unknown_layer(self, link: ast.Layer, context: Context, *, first: bool) -> None:
        if self.evaluator.knows("E0202", link.name.span):
            return
        if self.reporter.is_crowded:
            self.evaluator.fault("E0202", link.name.span, f"no layer, block or value is called `{link.name.id}`")
            return
        known = {*context.module.blocks, *self._written()}
        if first and link.arguments is None:
            known |= context.values.keys()
        what = "layer, block or value" if first and link.arguments is None else "layer or block"
        library = context.module.elsewhere(link.name.id)
        hint, notes = f"`import {library}` brings this block", list[Note]()
        if link.name.id in self.binder.indices:
            hint = f"numbers of frames are given to a layer by name: `position(time, frames = {link.name.id})`"
        elif context.scope.find(link.name.id) is not None:
            hint = f"`{link.name.id}` is a value, which stands in the arguments of a layer"
        elif not library:
            hint, could_be_added = layer_meaning(link.name.id, self._written(), known)
            notes += [Note(ADDING)] if could_be_added else []
        if link.name.id in self.hidden:
            hint = "only the last value of a line can be used in other lines: end the line, or the stage, at `as`"
        if link.name.id in self.dropped:
            hint = "the variant needs a line, or a `head`, of its own that does without the path"
            notes.append(Note("the path is dropped here", self.dropped[link.name.id].span))
        self.evaluator.fault("E0202", link.name.span, f"no {what} is called `{link.name.id}`", hint, notes)

    def _merge(self, link: ast.Merge, flow: Flow | None, context: Context) -> Flow:
        cls = self.layers.get(link.name.id)
        if cls is None or not cls.many:
            self._no_join(link, context)
            return LOST
        shape = flow.shape if flow is not None else None
        flows = [self.chain(branch, flow, context.inner(shape)) for branch in link.branches]
        layer = self.binder.layer(cls, link, context.scope)
        return LOST if layer is None else self.apply(layer, tuple(flows), context, link)

    def _no_join(self, link: ast.Merge, context: Context) -> None:
        """Report that a name before braces is none of a layer that joins values."""
        if self.evaluator.knows("E0202", link.name.span):
            return
        name = link.name.id
        joins = [k for k, c in self._written().items() if c.many]
        known = " and ".join([", ".join(f"`{k}`" for k in joins[:-1]), f"`{joins[-1]}`"])
        if name in self._written() or name in context.module.blocks:
            hint = (
                f"branches are joined by {known}; `{name}` stands in one of them, or behind: `concat {{ … }} -> {name}`"
            )
            self.evaluator.fault("E0405", link.name.span, f"`{name}` takes one value, not several branches", hint)
            return
        hint, could_be_added = layer_meaning(name, {k: self.layers[k] for k in joins}, joins)
        notes = [Note(ADDING)] if could_be_added else []
        self.evaluator.fault("E0202", link.name.span, f"no layer that joins values is called `{name}`", hint, notes)

    def _written(self) -> dict[str, type[Layer]]:
        """The layers that a spec can name."""
        return {k: c for k, c in self.layers.items() if not c.internal}

    def _residual(self, link: ast.Residual, flow: Flow | None, context: Context) -> Flow:
        flow = self._need(flow, link, context)
        body = self.chain(link.chain, flow, context.inner(flow.shape))
        around = flow
        if link.shortcut is not None:
            around = self._shortcut(link.shortcut, flow, context)
        return self.apply(self.layers["add"](), (body, around), context, link)

    def _shortcut(self, shortcut: ast.Shortcut, flow: Flow, context: Context) -> Flow:
        inner = context.inner(flow.shape)
        if shortcut.test is not None:
            truth = self.evaluator.truth(shortcut.test, inner.scope)
            if isinstance(truth, Unknown):
                return LOST
        else:
            truth = True
        condition = condition_of(shortcut.test, inner.scope, self.evaluator) if shortcut.test is not None else None
        region = Shortcut(parent=context.region, label="shortcut", entry=flow.node, condition=condition)
        inner.region, inner.values = region, context.values.new_child()
        result = self.chain(shortcut.chain, flow, inner) if truth else flow
        self.hidden.update(name for name in inner.values.maps[0] if name not in context.values)
        region.exit = result.node
        context.region.items.append(region)
        return result

    # --- blocks ---

    def _call(self, definition: BlockDef, link: ast.Layer, flow: Flow, context: Context) -> Flow:
        block = definition.block
        if any(opened is definition for opened in context.opened):
            chain = " → ".join([*(d.block.name.id for d in context.opened), block.name.id])
            self.reporter.report("E0207", link.span, chain)
            return LOST
        if len(context.opened) >= MAX_BLOCK_DEPTH:
            self.reporter.report("E0702", link.span, f"more than {MAX_BLOCK_DEPTH} blocks inside each other")
            return LOST
        self.evaluator.step(link.span, CALL)
        self.called.add(definition)
        outer: Scope = self.globals if definition.module.is_spec else Scope()
        entering = flow.shape
        if isinstance(entering, Grid):
            entering = _plain(entering, Sym(entering.channels, ("var", IN_CHANNELS)))
        scope = outer.child(entering)
        arguments = self.binder.block(block, link, scope, context.scope)
        if arguments is None:
            return LOST
        region = Block(
            parent=context.region, label=block.name.id, signature=definition.signature, arguments=arguments,
            entry=flow.node, entering=flow.shape, span=link.span,
        )  # fmt: skip
        inner = Context(scope, region, definition.module, (*context.opened, definition))
        with self.evaluator.within(link):
            for let in block.lets:
                for binding in let.bindings:
                    value = self.evaluator.evaluate(binding.value, scope)
                    scope.names[binding.name.id] = Binding(value, binding.name.span, binding.value, scope)
            result = self.chain(block.chain, Flow(flow.node, entering), inner)
        region.exit = result.node
        context.region.items.append(region)
        return Flow(result.node, self._leaving(result.shape, region, flow.shape))

    def _leaving(self, shape: Shape, region: Block, entering: Shape) -> Shape:
        """A shape in the terms of the caller."""
        if not isinstance(shape, Grid):
            return shape
        values = {**region.arguments.values, IN_CHANNELS: entering.channels}
        return _plain(shape, substitute(formula_of(shape.channels), values))

    # --- nodes ---

    def apply(self, layer: Layer, flows: tuple[Flow, ...], context: Context, link: Applied) -> Flow:
        """A node for a layer with its inputs; its shape is unknown if an input's is, or if it does not fit."""
        shape: Shape = UNKNOWN
        if not any(isinstance(f.shape, Unknown) for f in flows):
            try:
                shape = _inferred(layer, self.sound, *(f.shape for f in flows))
            except ShapeError as error:
                self._misfit(error, layer, flows, context, link)
        flow = self.add_node(layer, flows, shape, context.region, link.span)
        context.region.items.append(flow.node)
        return flow

    def add_node(self, layer: Layer, flows: tuple[Flow, ...], shape: Shape, region: Region, span: Span) -> Flow:
        """Puts a node into the graph. Raises SpecError when there are more than the budget allows."""
        number = self.count
        self.count += 1
        if number > MAX_LAYERS:
            raise self.reporter.fatal("E0701", span, f"more than {MAX_LAYERS:,} layers")
        self.evaluator.step(span, LAYER)
        inputs, input_shapes = tuple(f.node for f in flows), tuple(f.shape for f in flows)
        self.graph.add_node(number, node=Node(number, layer, inputs, input_shapes, shape, region, span))
        for flow in flows:
            if flow.node >= 0:
                self.graph.add_edge(flow.node, number, shape=flow.shape)
        return Flow(number, shape)

    def _misfit(
        self, error: ShapeError, layer: Layer, flows: tuple[Flow, ...], context: Context, link: Applied
    ) -> None:
        """Reports that a layer does not fit its inputs, at the attribute that is to blame if there is one."""
        code, place, hint = error.code, link.span, error.hint
        made = partial(self._sources, flows, context.region)
        notes: Callable[[], list[Note]] = made
        if isinstance(link, ast.Residual):
            code, (body, around) = "E0507", flows
            taken = isinstance(last := context.region.items[-1], Shortcut) and last.exit != last.entry
            is_taken = link.shortcut is not None and taken
            notes = partial(residual_notes, self.graph, body, around, context.region, is_taken)
            hint = residual_hint(body.shape, around.shape, link.shortcut is not None, taken)
        elif isinstance(link, (ast.Layer, ast.Merge)):
            argument = argument_of(link, layer, error.attribute)
            if argument is not None:
                place = written(argument, context.scope, error.index)
                used = used_notes(place, argument.span)
                notes = lambda: made() + used  # noqa: E731  # worked out for a new fault alone
        if code == "E0502" and isinstance(link, (ast.Merge, ast.Lateral)):
            hint = hint or grids_hint([f.shape for f in flows], link)
        self.evaluator.fault(code, place, error.message, hint, notes)

    def _sources(self, flows: tuple[Flow, ...], region: Region) -> list[Note]:
        """Where the shapes of values come from."""
        return [Note(f"{f.shape} comes from here", producer(self.graph, f.node, region)) for f in flows[:MAX_SOURCES]]


def _plain(shape: Grid, channels: int) -> Grid:
    """A shape at the border of a block, which the formulas of sizes do not cross: they have variables of one side."""
    return Grid(channels, int(shape.t), int(shape.h), int(shape.w), shape.token)


def _inferred(layer: Layer, sound: set[Hashable], *shapes: Grid) -> Grid:
    """The shape that a layer gives. `sound` are the layers whose sizes and initialisers were found right, with inputs.

    Raises:
        ShapeError: if the layer does not fit its inputs, or its initialisers do not suit its tensors.
    """
    _check_tokens(layer, *shapes)
    output = layer.infer(*shapes)
    key = type(layer), *layer.values().values(), shapes
    if key not in sound:
        _check_sizes(layer, output, *shapes)
        _check_initialisers(layer, *shapes)
        sound.add(key)
    return output


def _check_initialisers(layer: Layer, *shapes: Grid) -> None:
    bad = unsuited(layer.inits(*shapes), layer.weights(*shapes))
    if bad is not None:
        symbol, message = bad
        attribute = next((key for key in layer.attributes if getattr(layer, key) is symbol), "")
        raise ShapeError(message, attribute, "E0310", "`normal(std)`, `trunc_normal(std)` and `zeros` suit any tensor")


def _check_sizes(layer: Layer, output: Grid, *shapes: Grid) -> None:
    """Refuses tensors that torch, or any machine, could not hold: of values, of weights, of products in between."""
    sizes = {
        "gives a tensor": output.elements,
        "works on a tensor": layer.widest(*shapes),
        "has weights": layer.params(*shapes),
    }
    for what, size in sizes.items():
        if size > MAX_ELEMENTS:
            message = f"`{layer.kind}` {what} of {count_text(size)} numbers, at most {MAX_ELEMENTS:,}"
            raise ShapeError(message, code="E0707", hint=SIZE_HINT)
    macs = layer.macs(output, *shapes)
    if macs > MAX_MACS:
        message = f"`{layer.kind}` takes {count_text(macs)} multiply-adds for one clip, at most {MAX_MACS:,}"
        raise ShapeError(message, code="E0707", hint=SIZE_HINT)


def _check_tokens(layer: Layer, *shapes: Grid) -> None:
    """A layer that works on grids only has nothing to do with a class token."""
    for shape in shapes:
        if shape.token and not layer.takes_tokens:
            message = f"`{layer.kind}` cannot be applied to the class token of {shape}"
            if layer.kind == "class_token":
                message = f"{shape} has a class token already"
            hint = "`select(grid)` leaves it out, `select(token)` takes it alone"
            raise ShapeError(message, code="E0511", hint=hint)
