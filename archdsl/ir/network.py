"""The network: graph and regions of an architecture.

The graph is a networkx digraph. Each node has a number and, under the key `node`, a `Node`; each edge has, under the
key `shape`, the `Grid` of its value. The regions are the parts of the network, such as stages, and nested blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archdsl.ir.recipe import Recipe
from archdsl.ir.regions import Block, around
from archdsl.layers.input import INDEX, VIDEO, sizes_by_axis
from archdsl.layers.interior import Openable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import networkx as nx

    from archdsl.core.grid import Grid
    from archdsl.core.source import Span
    from archdsl.ir.regions import Part, Region, Shape
    from archdsl.layers.base import Layer


@dataclass(eq=False, repr=False)
class Node:
    """A layer at one place in a network, with its inputs, its shapes, and its location in the spec."""

    id: int
    layer: Layer
    inputs: tuple[int, ...]
    input_shapes: tuple[Grid, ...]
    shape: Shape
    region: Region
    span: Span
    label: str = ""
    explicit: bool = False
    called: str = ""  # the name by which the spec reads its value
    frozen: bool = False  # it is not trained, whatever the regions around it are
    shares: str = ""  # the label of the layer in the same region whose weights it has

    def __repr__(self) -> str:
        return f"<Node {self.id} {self.layer.kind} {self.label}>"

    @property
    def is_module(self) -> bool:
        """True if it has tensors in the state dict."""
        return bool(self.inputs and (self.layer.weights(*self.input_shapes) or self.layer.buffers(*self.input_shapes)))

    @property
    def name(self) -> str:
        """The prefix of its tensors in the state dict: `slow.res3.0.conv2`."""
        return f"{self.region.name}.{self.label}" if self.region.name else self.label

    @property
    def is_frozen(self) -> bool:
        """True if its weights are not trained."""
        return self.frozen or any(region.frozen for region in around(self.region))

    @property
    def frozen_weights(self) -> Collection[str]:
        """The names of its weights that are not trained: all, or those that its own lines freeze."""
        if self.inputs and self.is_frozen:
            return self.layer.weights(*self.input_shapes)
        return self.layer.frozen_weights() if isinstance(self.layer, Openable) else ()

    @property
    def frozen_members(self) -> Collection[str]:
        """The members of its module that its own lines freeze."""
        if self.is_frozen or not isinstance(self.layer, Openable):
            return ()
        return self.layer.frozen_members()

    @property
    def is_shared(self) -> bool:
        """True if its weights are those of another layer, which comes before it."""
        return bool(self.shares) or any(isinstance(r, Block) and r.shares for r in around(self.region))


@dataclass(frozen=True)
class Published:
    """Figures published in a paper or a model zoo: parameters and multiply-adds (FLOPs / 2), for a clip C×T×H×W."""

    params: float | None
    macs: float | None
    clip: tuple[int, int, int, int] | None
    source: str


@dataclass(frozen=True)
class Fitted:
    """Stages chosen for checkpointing, so that activations fit a memory limit. Sizes are in bytes."""

    stages: tuple[str, ...]  # names of the stages whose blocks are checkpointed, in the order of data flow
    limit: int
    batch: int  # clips
    plain: int  # saved for the backward pass without checkpointing
    kept: int  # saved for the backward pass with checkpointing
    again: int  # activations of the largest block while it is recomputed
    macs: int  # recomputed multiply-adds, for one clip


@dataclass(eq=False, repr=False)
class Network:
    """An expanded and checked architecture."""

    name: str
    family: str
    doc: str
    citations: tuple[str, ...]
    graph: nx.DiGraph[int]
    regions: list[Part]  # in the order of data flow
    inputs: dict[str, int]
    outputs: dict[str, int]  # by the name of the head; an only output has the name ""
    order: list[int]  # all nodes, in the order of data flow
    published: Published | None = None
    recipe: Recipe = field(default_factory=Recipe)  # hyperparameters of training and testing
    fitted: Fitted | None = None  # checkpointed stages, if chosen for a memory limit
    fixed_axes: frozenset[str] = frozenset()  # axes `t`, `h`, `w` of the clip whose sizes other values of the spec use
    folded: dict[str, str] = field(default_factory=dict[str, str])  # batch norms folded into convolutions, by name

    def __repr__(self) -> str:
        return f"<Network {self.name}: {len(self.order)} nodes>"

    @property
    def output_names(self) -> dict[str, int]:
        """The outputs by the names that figures and files have for them: `output`, or `logits.verb` and others."""
        return {f"logits.{name}" if name else "output": number for name, number in self.outputs.items()}

    @property
    def clips(self) -> dict[str, int]:
        """The inputs that are videos, by name."""
        return {name: n for name, n in self.inputs.items() if self.node(n).layer.kind == VIDEO}

    @property
    def indices(self) -> dict[str, int]:
        """The inputs that are frame indices, which calls of the module can leave out, by name."""
        return {name: n for name, n in self.inputs.items() if self.node(n).layer.kind == INDEX}

    @property
    def arguments(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the arguments that calls of the module must give, by name, without the batch."""
        return {name: self._argument(n) for name, n in self.inputs.items() if name not in self.indices}

    def _argument(self, number: int) -> tuple[int, ...]:
        node = self.node(number)
        return sizes_by_axis(node.shape, node.layer.argument_axes)

    def node(self, number: int) -> Node:
        return self.graph.nodes[number]["node"]

    def all_nodes(self) -> Iterator[Node]:
        """Yield every node, in the order of data flow."""
        for number in self.order:
            yield self.graph.nodes[number]["node"]
