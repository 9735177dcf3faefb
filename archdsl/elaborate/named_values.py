"""Names of values, with which chains begin: given by `as`, and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.elaborate.context import LOST, Context, Flow, Made
from archdsl.elaborate.labels import filled
from archdsl.frontend import ast
from archdsl.ir.network import Node
from archdsl.ir.regions import Block

if TYPE_CHECKING:
    from archdsl.core.source import Span
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.graph import GraphBuilder
    from archdsl.elaborate.layer_names import LayerNames
    from archdsl.ir.regions import Inner, Region


class NamedValues:
    """Values by name; `read` are the names of those that chains have begun with, or that blocks were given."""

    def __init__(self, nodes: GraphBuilder, names: LayerNames, evaluator: Evaluator) -> None:
        self.nodes = nodes
        self.names = names
        self.evaluator = evaluator
        self.read: set[str] = set()
        self.made: dict[tuple[Region, str], Made] = {}  # the layers and blocks that have names
        self.last: dict[tuple[str, int], Node | Block] = {}  # those that give a value, by its name and number
        self._given: dict[tuple[str, int], Span] = {}  # where values get their names

    def begin(self, link: ast.Layer | ast.Label, name: str, context: Context, *, first: bool) -> Flow:
        """Return a value that a chain names, which it can only begin with."""
        if not first:
            self.names.report_value(link)
            return LOST
        return self.find(name, context) or LOST

    def labelled(self, link: ast.Label, context: Context, *, first: bool) -> Flow:
        """Return the value that a label such as `x{i}` names, with which a chain begins."""
        name = filled(link, context.scope, self.evaluator)
        if name is None or context.value(name.id) is not None:
            return LOST if name is None else self.begin(link, name.id, context, first=first)
        self.names.report_unknown(ast.Layer(link.span, name, None), context, first=first)
        return LOST

    def find(self, name: str, context: Context) -> Flow | None:
        """Return a value by its name, which is read now."""
        self.read.add(name)
        value = context.value(name)
        if value is not None and (name, value.node) in self.last:
            self.last[name, value.node].called = name
        return value

    def name_of(self, expr: ast.Expr, context: Context) -> str:
        """Return the name of a value that an argument is; empty if it is none."""
        name = filled(expr, context.scope, self.evaluator) if isinstance(expr, ast.Label) else expr
        return name.id if isinstance(name, ast.Name) else ""

    def give(self, step: ast.Step, label: ast.Label, flow: Flow | None, context: Context, before: int) -> None:
        """Give a value its name, and the layer or block that the step has made, if it has made one alone."""
        name = filled(label, context.scope, self.evaluator)
        if name is None:
            return
        known = context.values.get(name.id)
        first = known and (self._given.get((name.id, known.node)) or self.nodes.place(known))
        self.names.check_label(name, context, first)
        context.values[name.id] = flow or LOST
        self._given[name.id, context.values[name.id].node] = name.span
        made = context.region.items[before:]
        if not made or flow is None:
            return
        item: Node | Inner = self.nodes.node(made[-1]) if isinstance(made[-1], int) else made[-1]
        if isinstance(item, Node | Block):
            self.last[name.id, flow.node] = item
        if len(made) == 1:
            item.label = name.id
            if isinstance(item, Node | Block):
                item.explicit = True
                self.made[context.region, name.id] = Made(step.link, context.scope, item)
