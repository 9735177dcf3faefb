"""Selection: the op of each layer of a network."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx

from archdsl.ir.network import Network, Node
from archdsl.layers.base import Layer
from archdsl.targets.torch.ops.base import ADDED, OPS, Op
from archdsl.targets.torch.ops.layouts import GRID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.core.grid import Grid

_FOLDER = Path(__file__).parent / "ops"


@dataclass(eq=False)
class OpNode(Node):
    """A layer at its place, and how torch computes it there."""

    op: Op[Layer] = field(kw_only=True)
    layout: str = GRID  # of its inputs in memory
    inplace: bool = False  # whether it overwrites its input

    @property
    def is_module(self) -> bool:
        """Whether it becomes a submodule."""
        return self.op.is_module

    @property
    def is_view(self) -> bool:
        """Whether its output lies in the memory of its first input."""
        return self.op.is_view


@dataclass(eq=False)
class OpNetwork(Network):
    """A network of ops."""

    def node(self, number: int) -> OpNode:
        """Return the node of that number."""
        return self.graph.nodes[number]["node"]

    def all_nodes(self) -> Iterator[OpNode]:
        """Yield every node."""
        nodes: Iterator[Any] = super().all_nodes()
        yield from nodes


def op_of(layer: Layer, inputs: tuple[Grid, ...], output: Grid) -> Op[Layer]:
    """Return the op of a layer at a place with these shapes."""
    return op_class(type(layer))(layer, inputs, output)


@cache
def op_class(cls: type[Layer]) -> type[Op[Any]]:
    """Return the op of a layer: that of its name, else that of the layer it is derived from, else the default."""
    for base in cls.__mro__:
        if issubclass(base, Layer):
            found = ADDED.get(base) or _bundled(base.kind)
            if found is not None:
                return found
    return Op


def _bundled(kind: str) -> type[Op[Any]] | None:
    if kind not in OPS and kind.isidentifier() and (_FOLDER / f"{kind}.py").is_file():
        importlib.import_module(f"archdsl.targets.torch.ops.{kind}")
    return OPS.get(kind)


def select(network: Network) -> OpNetwork:
    """Return a network of ops, whose nodes are new and whose regions are the same."""
    graph: nx.DiGraph[int] = nx.DiGraph()
    for number, data in network.graph.nodes(data=True):
        node: Node = data["node"]
        op = op_of(node.layer, node.input_shapes, node.shape)
        graph.add_node(number, node=OpNode(**_fields(node), op=op))
    graph.add_edges_from(network.graph.edges(data=True))
    values = _fields(network)
    values["graph"] = graph
    return OpNetwork(**values)


def _fields(record: Node | Network) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in fields(record)}
