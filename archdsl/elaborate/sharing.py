"""Layers and blocks applied once more, with the same weights: `share NAME`."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, count
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note, did_you_mean
from archdsl.core.grid import Grid
from archdsl.core.values import Unknown
from archdsl.elaborate.context import LOST, Context, Flow, Made
from archdsl.elaborate.labels import filled
from archdsl.frontend import ast
from archdsl.ir.network import Node
from archdsl.ir.regions import Block, around
from archdsl.ir.tensors import own_tensors
from archdsl.layers.attention_arguments import Between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from archdsl.elaborate.arguments import Binder
    from archdsl.elaborate.graph import GraphBuilder
    from archdsl.ir.regions import Inner, Item, Region, Shape
    from archdsl.layers.base import Layer

    Named = tuple[Region, str]  # where a name is given
    Apply = Callable[[ast.Link, Flow, Context], Flow | None]  # that of one link


class Sharing:
    """Application of what is shared; `made` are the layers and blocks that can be, by region and name."""

    def __init__(
        self, nodes: GraphBuilder, binder: Binder, layers: Mapping[str, type[Layer]], made: dict[Named, Made]
    ) -> None:
        self.nodes, self.binder, self.layers, self.made = nodes, binder, layers, made
        self.elsewhere: dict[str, str] = {}  # names that are not seen from here, and where they are
        self.evaluator, self.faults = binder.evaluator, binder.evaluator.faults

    def apply(self, link: ast.Share, flow: Flow, context: Context, apply: Apply) -> Flow:
        """Apply a layer or block once more."""
        made = self._find(link, flow, context)
        if made is None or not self._check_entering(made, link, flow):
            return LOST
        again = self._with_arguments(made.link, link, context)
        before = len(context.region.items)
        place = replace(context, scope=made.scope, frozen=False)
        result = apply(again, flow, place) if again is not None else None
        items = context.region.items[before:]
        if result is None or isinstance(result.shape, Unknown) or not self._check(made, items, link, context):
            return LOST
        self._mark(made.item, items[0], context.region)
        return result

    # --- what is shared ---

    def _sees(self, region: Region, here: Region) -> bool:
        """Return True if names that a region gives are known at a place."""
        return region is here

    def _find(self, link: ast.Share, flow: Flow, context: Context) -> Made | None:
        """Return what a name stands for; None if it is no layer or block of the same block or line."""
        name = filled(link.name, context.scope, self.evaluator) if isinstance(link.name, ast.Label) else link.name
        if name is None:
            return None
        known = {label: made for (region, label), made in self.made.items() if self._sees(region, context.region)}
        if name.id in known:
            return known[name.id]
        hint = did_you_mean(name.id, known)
        label = f"no layer or block of this {_place(context)} is called `{name.id}`"
        elsewhere = {
            **dict.fromkeys(context.stages, "a stage"),
            **self.elsewhere,
            **{name: "in another stage, path or block" for _, name in self.made},
        }
        if name.id in elsewhere:
            label = f"`{name.id}` is {elsewhere[name.id]}"
            hint = "weights are shared in a block, or in the lines of a stage or an attention: put both uses into one"
        elif name.id in context.values:
            if isinstance(flow.shape, Unknown):
                return None  # neither could the first use be applied
            label = f"`{name.id}` is a value, and no single layer or block of this {_place(context)}"
        hint = hint or f"name what is applied twice where it stands first: `attention(8) as {name.id}`"
        self.faults.report("E0202", link.name.span, label, hint)
        return None

    def _with_arguments(self, first: ast.Link, link: ast.Share, context: Context) -> ast.Link | None:
        """Return the link of the first use with the arguments that differ."""
        if link.arguments is None:
            return first
        if not isinstance(first, ast.Layer | ast.Lines):
            hint = "name the layer itself, in the braces or brackets"
            self.faults.report("E0403", link.span, "only one layer or block takes other arguments", hint)
            return None
        names = self._parameters(first, context)
        other = ast.Layer(link.span, first.name, link.arguments)
        given = {**self.binder.matched(first, names), **self.binder.matched(other, names)}
        named = tuple(ast.Argument(a.span, a.name or ast.Name(a.span, n), a.value) for n, a in given.items())
        if isinstance(first, ast.Layer):
            return ast.Layer(first.span, first.name, named)
        return ast.Lines(first.span, first.name, named, first.body)

    def _parameters(self, link: ast.Layer | ast.Lines, context: Context) -> list[str]:
        """Return the names of a link's arguments in the order of their positions."""
        definition = context.module.blocks.get(link.name.id)
        if definition is not None:
            return [p.name.id for p in definition.block.parameters]
        cls = self.layers.get(link.name.id)
        return list(Between.attributes if cls is None or cls.takes_lines else cls.attributes)

    # --- checks ---

    def _check_entering(self, made: Made, link: ast.Share, flow: Flow) -> bool:
        """Check that what enters has the channels and tokens of the first use."""
        first = made.item.entering if isinstance(made.item, Block) else self._entering(made.item)
        if not isinstance(flow.shape, Grid) or not isinstance(first, Grid):
            return False
        if (int(flow.shape.channels), flow.shape.tokens) == (int(first.channels), first.tokens):
            return True
        notes = [Note(f"here {first} enters", made.item.span)]
        label = f"{flow.shape} enters, other than in the first use"
        self.faults.report("E0501", link.span, label, self._entering_hint(made), notes)
        return False

    def _entering_hint(self, made: Made) -> str:  # noqa: ARG002
        return ""

    def _entering(self, node: Node) -> Shape:
        return node.input_shapes[0]

    def _check(self, made: Made, items: Sequence[Item], link: ast.Share, context: Context) -> bool:
        """Check that both uses have the same weights, which one module holds."""
        fault, hint = self._fault(made, items, context)
        if fault:
            self.faults.report("E0510", link.span, fault, hint, [Note("the first use", made.item.span)])
        return not fault

    def _fault(self, made: Made, items: Sequence[Item], context: Context) -> tuple[str, str]:
        """Return what hinders that weights are shared, with a hint; empty if nothing does."""
        made_again = [self._item(item) for item in items]
        firsts, seconds = (list(self._layers(found)) for found in ([made.item], made_again))
        if len(items) != 1 or [n.layer.kind for n in firsts] != [n.layer.kind for n in seconds]:
            return "it consists of other layers here", "write it again, with weights of its own"
        if not any(map(self._tensors, firsts)):
            return "it has no weights", "write the layer again"
        if context.frozen and not (firsts[0].is_frozen if isinstance(made.item, Node) else _is_frozen(made.item)):
            return "its weights are trained", "put the first use into `frozen { … }`, which then holds for both"
        return next(filter(any, map(self._difference, firsts, seconds)), ("", ""))

    def _tensors(self, node: Node) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of a layer's tensors, by their names in the layer."""
        return own_tensors(node)

    def _inputs(self, node: Node) -> Sequence[Grid]:
        return node.input_shapes

    def _difference(self, first: Node, second: Node) -> tuple[str, str]:
        """Return why one module cannot compute both of two layers, with a hint; empty if it can."""
        kind, one, other = first.layer.kind, self._tensors(first), self._tensors(second)
        if one != other:
            name = next((n for n in one if one[n] != other.get(n)), "weight")
            here, there = ("×".join(map(str, shapes.get(name, ()))) or "none" for shapes in (other, one))
            return (
                f"`{name}` of `{kind}` is {here} here, {there} in the first use",
                "write it again, with weights of its own",
            )
        if not second.layer.has_code_of(first.layer):
            values, others = first.layer.values(), second.layer.values()
            name = next(k for k in values if values[k] != others.get(k))
            return f"`{name}` of `{kind}` is another here", "leave it out, or write the layer again"
        sizes = [[g.size for g in self._inputs(node)] for node in (first, second)]
        if sizes[0] != sizes[1] and _is_sized(second.layer, self._inputs(second)):
            return f"`{kind}` is for one size of the grid", "share it between values of this size"
        return "", ""

    def _item(self, item: Item) -> Node | Inner:
        return self.nodes.node(item) if isinstance(item, int) else item

    def _layers(self, items: Iterable[Node | Inner]) -> Iterator[Node]:
        for item in items:
            yield from [item] if isinstance(item, Node) else map(self.nodes.node, item.nodes())

    def _mark(self, first: Node | Block, item: Item, region: Region) -> None:
        """Note whose weights a layer or block has, and give it a name beside that."""
        second = self._item(item)
        assert isinstance(second, Node | Block)
        taken = {self._item(i).label for i in region.items}
        names = chain([f"{first.label}_again"], (f"{first.label}_again{k}" for k in count(2)))
        second.label = next(name for name in names if name not in taken)
        second.shares, second.explicit, second.frozen = first.shares or first.label, True, first.frozen


def _is_frozen(block: Block) -> bool:
    return any(region.frozen for region in around(block))


def _place(context: Context) -> str:
    return "block" if context.opened else "line"


class _Probe(int):
    """A size that notes whether a layer needs it as it is."""

    noted: list[bool]

    def fix(self) -> None:
        self.noted.append(True)


def _is_sized(layer: Layer, inputs: Sequence[Grid]) -> bool:
    """Return True if a layer is for one size of the grid."""
    noted: list[bool] = []

    def probe(size: int) -> int:
        made = _Probe(size)
        made.noted = noted
        return made

    layer.infer(*(Grid(g.channels, *map(probe, (g.t, g.h, g.w)), tokens=g.tokens) for g in inputs))
    return bool(noted)
