"""Selection: the op of each layer of a network."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import networkx as nx

from archdsl.ir.network import Network, Node
from archdsl.layers.bias import Bias
from archdsl.targets.torch.ops.base import OPS, Op
from archdsl.targets.torch.ops.bias import BiasOp
from archdsl.targets.torch.ops.layouts import GRID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.core.grid import Grid
    from archdsl.layers.base import Layer


@dataclass(eq=False)
class OpNode(Node):
    """A layer at its place, with its op."""

    op: Op[Layer] = field(kw_only=True)
    layout: str = GRID  # of its inputs in memory
    inplace: bool = False  # it overwrites its input

    @property
    def is_module(self) -> bool:
        """True if it becomes a submodule."""
        return self.op.is_module

    @property
    def is_view(self) -> bool:
        """True if its output shares the memory of its first input."""
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


def op_class(cls: type[Layer]) -> type[Op[Any]]:
    """Return the op class of a layer: that of its name, else that of its base layer, else the default."""
    return OPS.of(cls) or (BiasOp if issubclass(cls, Bias) else Op)


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
