"""The graph of an architecture.

A networkx digraph: its nodes are numbered in the order of data flow and carry a `Node` under the key `node`, its edges
carry the `Grid` that flows under the key `shape`. Beside it stand its regions: stages, the lines of each path in them,
blocks in blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archdsl.ir.recipe import Recipe
from archdsl.ir.regions import Featured

if TYPE_CHECKING:
    from collections.abc import Iterator

    import networkx as nx

    from archdsl.core.grid import Grid
    from archdsl.core.source import Span
    from archdsl.ir.regions import Part, Region, Shape
    from archdsl.layers.base import Layer


@dataclass(eq=False)
class Node:
    """A layer at its place: what it is applied to, what it gives, and where the spec says so."""

    id: int
    layer: Layer
    inputs: tuple[int, ...]
    input_shapes: tuple[Grid, ...]
    shape: Shape
    region: Region
    span: Span
    label: str = ""
    explicit: bool = False

    @property
    def is_module(self) -> bool:
        """Whether it has tensors, and so a name in the state dict."""
        return bool(self.inputs and (self.layer.weights(*self.input_shapes) or self.layer.buffers(*self.input_shapes)))

    @property
    def name(self) -> str:
        """Its place in the module: `slow.res3.0.conv2`."""
        return f"{self.region.name}.{self.label}" if self.region.name else self.label

    @property
    def is_frozen(self) -> bool:
        """Whether its weights stay as they are in training."""
        return isinstance(part := self.region.top, Featured) and part.frozen


@dataclass(frozen=True)
class Published:
    """What a paper or a model zoo prints: parameters, multiply-adds, for a clip C×T×H×W."""

    params: float | None
    macs: float | None
    clip: tuple[int, int, int, int] | None
    source: str


@dataclass(frozen=True)
class Fitted:
    """What is computed again so that training fits into some memory. Sizes are in bytes."""

    stages: tuple[str, ...]  # names of the stages whose blocks are checkpointed, in the order of data flow
    limit: int  # that was set
    batch: int
    plain: int  # kept without checkpoints
    kept: int
    again: int  # of the largest block, while it is computed again
    macs: int  # that are computed twice, for one clip


@dataclass(eq=False)
class Network:
    """An expanded and checked architecture."""

    name: str
    family: str
    doc: str
    citations: tuple[str, ...]
    graph: nx.DiGraph[int]
    regions: list[Part]  # in the order of data flow
    inputs: dict[str, int]
    output: int
    order: list[int]  # all nodes, in the order of data flow
    published: Published | None = None
    recipe: Recipe = field(default_factory=Recipe)  # how it is trained
    fitted: Fitted | None = None  # what is computed again, so that training fits into some memory
    fixed_axes: frozenset[str] = frozenset()  # of `t`, `h`, `w`: what the spec computed other things from
    folded: dict[str, str] = field(default_factory=dict[str, str])  # norms that lowering made part of a convolution

    @property
    def clips(self) -> dict[str, int]:
        """The inputs that are videos."""
        return {name: n for name, n in self.inputs.items() if not self.node(n).layer.holds_indices}

    @property
    def indices(self) -> dict[str, int]:
        """The inputs that are numbers of frames."""
        return {name: n for name, n in self.inputs.items() if self.node(n).layer.holds_indices}

    def node(self, number: int) -> Node:
        return self.graph.nodes[number]["node"]

    def all_nodes(self) -> Iterator[Node]:
        """Yield every node, in the order of data flow."""
        for number in self.order:
            yield self.graph.nodes[number]["node"]
