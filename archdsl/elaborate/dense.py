"""Heads whose scores are not meant: at every position of a grid, or with an activation behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.elaborate.heads import beginning
from archdsl.ir.outputs import counts_boxes

if TYPE_CHECKING:
    import networkx as nx

    from archdsl.core.grid import Grid
    from archdsl.core.report import Reporter
    from archdsl.frontend import ast
    from archdsl.ir.network import Node

_ALTERING = {"activation", "regularisation"}  # categories of layers that no head ends in
_BEHIND = {*_ALTERING, "norm"}


def check_dense(graph: nx.DiGraph[int], output: int, shape: Grid, head: ast.Head, reporter: Reporter) -> None:
    """Warn of scores on a grid where the head is not `dense`, and of one vector where it is.

    Args:
        graph: of the whole network.
        output: the node that gives its output.
        shape: of the output.
        head: the statement of the spec.
        reporter: takes the warning.
    """
    of_boxes = counts_boxes(graph, output)
    if head.dense and shape.is_vector and not of_boxes:
        reporter.report("W0107", head.span, f"the head is `dense`, and its output is one vector, {shape}")
    elif not head.dense and (of_boxes or not shape.is_vector) and _ends_in_scores(graph, output):
        where = "for each box" if of_boxes else "at every position"
        hint = f"declare `{beginning(head, dense=True)} …`"
        if not of_boxes:
            hint = f"pool or select before the linear layer, as in `{_pooled(head)}`, or {hint}"
        label = f"a linear layer gives scores {where}: the output is {shape}"
        reporter.report("W0107", head.chain.steps[-1].span, label, hint=hint)


def check_behind(graph: nx.DiGraph[int], output: int, head: ast.Head, reporter: Reporter) -> None:
    """Warn of an activation or dropout behind the linear layer of a head: losses expect the scores as they are."""
    steps = head.chain.steps
    behind = 0
    node: Node = graph.nodes[output]["node"]
    last = node.layer
    while len(node.inputs) == 1 and node.layer.category in _BEHIND and behind < len(steps):
        node, behind = graph.nodes[node.inputs[0]]["node"], behind + 1
    if last.category not in _ALTERING or node.layer.category != "linear" or len(steps) <= behind:
        return
    kept = " -> ".join(step.span.text for step in steps[:-behind])
    written = (
        f"`{beginning(head, dense=head.dense)} {kept}`"
        if "\n" not in kept and steps[-behind - 1].span == node.span
        else "leave it out"
    )
    label = f"`{last.kind}` changes the scores, which a loss takes as the linear layer gives them"
    reporter.report("W0111", steps[-1].span, label, hint=f"end the head with the linear layer: {written}")


def _pooled(head: ast.Head) -> str:
    """Return the head with a pool before its linear layer, where it is one line."""
    steps = [step.span.text for step in head.chain.steps]
    linear = [i for i, text in enumerate(steps) if text.startswith("linear")]
    if not linear or "\n" in head.chain.span.text:
        return "avgpool -> linear(…)"
    steps.insert(linear[-1], "avgpool")
    return f"{beginning(head, dense=False)} {' -> '.join(steps)}"


def _ends_in_scores(graph: nx.DiGraph[int], output: int) -> bool:
    """Return whether all that makes up a value are linear maps at each position."""
    pending, seen = [output], {output}
    while pending:
        node: Node = graph.nodes[pending.pop()]["node"]
        if node.layer.training_only or node.layer.joins:
            new = [i for i in node.inputs if i not in seen]
            pending += new
            seen.update(new)
        elif not node.layer.maps_positions():
            return False
    return True
