"""Parameters, multiply-adds (FLOPs / 2) and activations of a network, from its graph alone.

As in the papers, a multiply-add counts as one operation, and only convolutions, linear layers and matrix products of
attention count. Activations are the output elements of these layers (Radosavovic et al. 2020), for one clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import is_
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from archdsl.ir.outputs import output_size
from archdsl.ir.regions import BlockRow, Featured, Head
from archdsl.ir.tensors import own_params

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archdsl.ir.network import Network, Node
    from archdsl.ir.regions import Part, Region

LEVELS = ("stage", "block", "layer")
CONVENTION = (
    "Multiply-adds are those of convolutions, linear layers and attention products for one clip, counted as in the "
    "papers. FLOPs are 2 × multiply-adds."
)


@dataclass(frozen=True)
class Cost:
    """Parameters, those of them that are not trained, multiply-adds and activations (output elements), for a clip."""

    params: int = 0
    macs: int = 0
    activations: int = 0
    frozen: int = 0

    @property
    def trained(self) -> int:
        """Parameters that are trained."""
        return self.params - self.frozen

    def __add__(self, other: Cost) -> Cost:
        params, macs = self.params + other.params, self.macs + other.macs
        return Cost(params, macs, self.activations + other.activations, self.frozen + other.frozen)


@dataclass(frozen=True)
class Row:
    """One row of a cost table: a stage on a path, a block or a layer, with its output shape (C, T, H, W)."""

    name: str
    path: str
    shape: tuple[int, int, int, int]
    cost: Cost


# A diagram asks for the cost of a layer many times. A cost holds as long as the node has the same layer and shapes.
_known: WeakKeyDictionary[Node, tuple[tuple[object, ...], Cost]] = WeakKeyDictionary()


def node_cost(node: Node) -> Cost:
    """Return the cost of one layer."""
    basis = (node.layer, node.input_shapes, node.shape, node.is_frozen)
    known = _known.get(node)
    if known is None or not all(map(is_, known[0], basis)):
        known = _known[node] = basis, _node_cost(node)
    return known[1]


def _node_cost(node: Node) -> Cost:
    layer = node.layer
    macs = int(layer.macs(node.shape, *node.input_shapes)) if node.input_shapes else 0
    params, frozen = own_params(node)
    activations = int(node.shape.elements) if layer.heavy else 0
    return Cost(params, macs, activations, frozen)


def total_cost(network: Network) -> Cost:
    """Return the cost of the whole network."""
    return _sum(node_cost(n) for n in network.all_nodes())


def region_cost(network: Network, region: Region) -> Cost:
    """Return the cost of a region, such as a stage or a block."""
    return _sum(node_cost(network.node(n)) for n in region.nodes())


def cost_rows(network: Network, level: str = "stage") -> list[Row]:
    """Return the cost of each stage, block or layer, in the order of data flow; the rows add up to the total."""
    return [row for region in network.regions for row in _part_rows(network, region, level)]


def _part_rows(network: Network, part: Part, level: str) -> Iterator[Row]:
    if level != "stage":
        yield from _inner_rows(network, part, part.path, level)
        return
    cost = region_cost(network, part)
    if isinstance(part, Featured | Head) or cost != Cost():
        yield Row(part.title, part.path, _shape(network, part.exit), cost)


def _inner_rows(network: Network, region: Region, path: str, level: str) -> Iterator[Row]:
    for item in region.items:
        if isinstance(item, int):
            node = network.node(item)
            yield Row(node.name, path, _shape(network, item), node_cost(node))
        elif isinstance(item, BlockRow) or level == "layer":
            yield from _inner_rows(network, item, path, level)
        else:
            yield Row(item.name, path, _shape(network, item.exit), region_cost(network, item))


def _shape(network: Network, number: int) -> tuple[int, int, int, int]:
    c, t, h, w = network.node(number).shape.shape
    return int(c), int(t), int(h), int(w)


def _sum(costs: Iterable[Cost]) -> Cost:
    rows = [(c.params, c.macs, c.activations, c.frozen) for c in costs]
    return Cost(*map(sum, zip(*rows, strict=True)))


def cost_json(network: Network, level: str = "stage") -> dict[str, Any]:
    """Return the cost as JSON data: totals and stages; for the levels `block` and `layer` also those rows."""
    total = total_cost(network)
    inputs = {name: list(shape) for name, shape in network.arguments.items()}
    outputs = {name: output_size(network, n) for name, n in network.output_names.items()}
    data: dict[str, Any] = {
        "arch": network.name,
        "params": total.params,
        "trained": total.trained,
        "macs": total.macs,
        "activations": total.activations,
        "convention": CONVENTION,
        "input": next(iter(inputs.values())) if len(inputs) == 1 else inputs,
        "output": next(iter(outputs.values())) if len(outputs) == 1 else outputs,
        "stages": [_as_dict(r) for r in cost_rows(network)],
    }
    if level != "stage":
        data[f"{level}s"] = [_as_dict(r) for r in cost_rows(network, level)]
    return data


def _as_dict(row: Row) -> dict[str, Any]:
    cost = row.cost
    figures = {"params": cost.params, "trained": cost.trained, "macs": cost.macs, "activations": cost.activations}
    return {"name": row.name, "path": row.path or None, "shape": list(row.shape), **figures}
