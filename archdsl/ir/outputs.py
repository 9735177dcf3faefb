"""Axes of the tensors that a module returns."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import networkx as nx

from archdsl.core.grid import Grid
from archdsl.core.values import UNKNOWN
from archdsl.layers.base import ShapeError
from archdsl.layers.input import BOXES, sizes_by_axis

if TYPE_CHECKING:
    from archdsl.ir.network import Network, Node
    from archdsl.ir.regions import Shape

VECTOR_AXES, GRID_AXES = ("C",), ("C", "T", "H", "W")
BOX_VECTOR_AXES, BOX_GRID_AXES = ("N", "C"), ("N", "C", "H", "W")


def output_axes(network: Network, output: int) -> tuple[str, ...]:
    """Return the axes of an output without tokens, behind the batch; what is computed for boxes begins with them."""
    shape = network.node(output).shape
    if counts_boxes(network.graph, output):
        return BOX_VECTOR_AXES if shape.h == shape.w == 1 else BOX_GRID_AXES
    return VECTOR_AXES if shape.is_vector else GRID_AXES


def output_size(network: Network, output: int) -> list[int]:
    """Return the sizes of these axes."""
    return list(sizes_by_axis(network.node(output).shape, output_axes(network, output)))


def counts_boxes(graph: nx.DiGraph[int], value: int) -> bool:
    """Return whether the time axis of a value counts boxes: with one box more, it has another size.

    A value that boxes are joined with, and that has a size of its own, as of `upsample`, is taken to grow with them.
    """
    if all(data["node"].layer.kind != BOXES for data in graph.nodes.values()):
        return False
    more: dict[int, Shape] = {}  # the shapes that change
    for number in nx.topological_sort(graph):
        node: Node = graph.nodes[number]["node"]
        if node.layer.kind == BOXES:
            more[number] = node.shape._replace(t=node.shape.t + 1)
        elif not more.keys().isdisjoint(node.inputs):
            more[number] = _with_one_more(node, [more.get(i) for i in node.inputs])
    found = more.get(value, UNKNOWN)
    return isinstance(found, Grid) and found.t != graph.nodes[value]["node"].shape.t


def _with_one_more(node: Node, changed: list[Shape | None]) -> Shape:
    """Return the shape of what a layer gives where some of its inputs have another shape; unknown if it takes none."""
    shapes = [given if new is None else new for new, given in zip(changed, node.input_shapes, strict=True)]
    count = max((x.t for x in shapes if isinstance(x, Grid)), default=0)
    grown = [x._replace(t=count) if isinstance(x, Grid) and x.t == count - 1 else x for x in shapes]
    for inputs in (shapes, grown):
        if all(isinstance(x, Grid) for x in inputs):
            with suppress(ShapeError):  # it takes one number of boxes only
                return node.layer.infer(*inputs)
    return UNKNOWN
