"""Layers and blocks in the lines of one attention, applied once more with the same weights: `share NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.elaborate.labels import filled
from archdsl.elaborate.sharing import Sharing
from archdsl.frontend import ast
from archdsl.ir.regions import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.core.grid import Grid
    from archdsl.elaborate.context import Context, Flow, Made
    from archdsl.elaborate.line_graph import LineGraph
    from archdsl.ir.network import Node
    from archdsl.ir.regions import Block, Item, Region, Shape
    from archdsl.layers.attention_lines import Application

OF_BRANCHES = "share what stands in a line of one branch"
ALIKE = "put both uses into `each_head { … }`, or none"


class LineSharing(Sharing):
    """Application of what lines share: the names of one line are known in those below it, too."""

    nodes: LineGraph

    def _sees(self, region: Region, here: Region) -> bool:
        return region is here or (isinstance(region, Stage) and isinstance(here, Stage))

    @property
    def names(self) -> list[str]:
        """The names that lines have given."""
        return [name for _, name in self.made]

    def forget(self, region: Region) -> None:
        """Forget the names of a line that is applied anew."""
        for key in [key for key in self.made if key[0] is region]:
            del self.made[key]

    def _find(self, link: ast.Share, flow: Flow, context: Context) -> Made | None:
        name = filled(link.name, context.scope, self.evaluator) if isinstance(link.name, ast.Label) else link.name
        places = [
            made.item.span for (region, label), made in self.made.items()
            if name is not None and label == name.id and self._sees(region, context.region)
        ]  # fmt: skip
        if len(places) < 2 or name is None:
            return super()._find(link, flow, context)
        notes = [Note("named here", place) for place in places]
        hint = f"names of their own: `… as q_{name.id}`"
        self.faults.report("E0203", name.span, f"several lines have a layer called `{name.id}`", hint, notes)
        return None

    def _entering_hint(self, made: Made) -> str:
        first = self._first(next(iter(self._layers([made.item]))))
        return ALIKE if first.by_head != self.nodes.view.by_head else ""

    def _entering(self, node: Node) -> Shape:
        return self._inputs(node)[0]

    def _inputs(self, node: Node) -> Sequence[Grid]:
        return self._first(node).shapes

    def _tensors(self, node: Node) -> Mapping[str, tuple[int, ...]]:
        first = self._first(node)
        own = {**first.layer.weights(*first.shapes), **first.layer.buffers(*first.shapes)}
        return {name: tuple(map(int, shape)) for name, shape in own.items()}

    def _first(self, node: Node) -> Application:
        return self.nodes.applied[node.id][0]

    def _difference(self, first: Node, second: Node) -> tuple[str, str]:
        found = super()._difference(first, second)
        if any(found) or not self._tensors(first):
            return found
        kind, (one, other) = first.layer.kind, (self._first(node) for node in (first, second))
        for node, place in ((first, "in the first use"), (second, "here")):
            if len(self.nodes.applied[node.id]) > 1 or self._first(node).is_of_branches:
                return f"`{kind}` has weights of each branch {place}", OF_BRANCHES
        if one.by_head != other.by_head:
            where = "in the first use" if one.by_head else "here"
            return f"`{kind}` is for each head {where} alone", ALIKE
        if one.heads != other.heads:
            fault = f"`{kind}` is for {other.heads} heads here, {one.heads} in the first use"
            return fault, "share it between lines with as many heads"
        if one.tokens != other.tokens:
            return f"`{kind}` lets other tokens pass here", "share it between values with the same tokens"
        return "", ""

    def _mark(self, first: Node | Block, item: Item, region: Region) -> None:
        super()._mark(first, item, region)
        for one, other in zip(self._layers([first]), self._layers([self._item(item)]), strict=True):
            for application in self.nodes.applied[other.id]:
                application.owner = self._first(one).owner or self._first(one)
