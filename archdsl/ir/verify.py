"""Verification of the invariants of a network, which hold after every pass."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archdsl.ir.regions import NO_VALUE, Block, BlockRow, Conversion, Fusion, Lateral, Shortcut, walk
from archdsl.ir.tensors import own_tensors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.ir.network import Network, Node
    from archdsl.ir.regions import Region


class BrokenNetwork(AssertionError):
    """A violated invariant; the message names the node or region, and describes the violation."""


def verify(network: Network) -> None:
    """Check the invariants that every pass relies on.

    Raises:
        BrokenNetwork: if an invariant is violated.
    """
    _verify_order(network)
    for node in network.all_nodes():
        _verify_inputs(network, node)
    _verify_names(network)
    _verify_places(network)
    _verify_items(network)
    for region in walk(network.regions):
        _verify_region(network, region)
    for name, output in network.output_names.items():
        _verify_output(network, name, output)


def _verify_output(network: Network, name: str, output: int) -> None:
    """Check that an output depends on an input."""
    what = "the output" if name == "output" else f"`{name}`"
    if output not in network.graph:
        raise BrokenNetwork(f"{what} is node {output}, which is not in the network")
    seen: set[int] = set()
    pending = [output]
    while pending:
        number = pending.pop()
        if number not in seen:
            seen.add(number)
            pending.extend(network.node(number).inputs)
    if seen.isdisjoint(network.inputs.values()):
        raise BrokenNetwork(f"{what} `{network.node(output).name}` does not depend on an input")


def _verify_order(network: Network) -> None:
    if Counter(network.order) != Counter(network.graph):
        differing = sorted({*network.order} ^ {*network.graph}) or _repeated(network.order)
        raise BrokenNetwork(f"the order does not contain each node exactly once: {differing}")
    seen: set[int] = set()
    for node in network.all_nodes():
        late = next((i for i in node.inputs if i not in seen), None)
        if late is not None:
            source = f"`{network.node(late).name}`" if late in network.graph else f"node {late}, which does not exist"
            raise BrokenNetwork(f"`{node.name}` precedes its input {source}")
        seen.add(node.id)


def _verify_names(network: Network) -> None:
    twice = _repeated([node.name for node in network.all_nodes()])
    if twice:
        raise BrokenNetwork(f"two nodes have the name `{twice[0]}`")
    modules = [n for n in network.all_nodes() if n.inputs]
    twice = _repeated([f"{node.name}.{name}" for node in modules for name in own_tensors(node)])
    if twice:
        raise BrokenNetwork(f"two tensors have the name `{twice[0]}`")


def _verify_inputs(network: Network, node: Node) -> None:
    sources = set(network.graph.predecessors(node.id))
    if sources != set(node.inputs):
        raise BrokenNetwork(f"the edges into `{node.name}` come from {sorted(sources)}, its inputs are {node.inputs}")
    if len(node.input_shapes) != len(node.inputs):
        raise BrokenNetwork(f"`{node.name}` has {len(node.inputs)} inputs and {len(node.input_shapes)} input shapes")
    for source, shape in zip(node.inputs, node.input_shapes, strict=True):
        producer = network.node(source)
        edge = network.graph.edges[source, node.id]["shape"]
        if producer.shape != shape or edge != shape:
            raise BrokenNetwork(f"`{node.name}` expects {shape} from `{producer.name}`, which has {producer.shape}")


def _verify_places(network: Network) -> None:
    """Check that every node is an item of exactly one region, its own."""
    places: dict[int, Region] = {}
    for region in walk(network.regions):
        for number in (item for item in region.items if isinstance(item, int)):
            if number in places:
                raise BrokenNetwork(f"`{network.node(number).name}` is in two regions")
            if number not in network.graph:
                raise BrokenNetwork(f"{_title(region)} contains node {number}, which does not exist")
            places[number] = region
    for node in network.all_nodes():
        if node.inputs and places.get(node.id) is not node.region:
            raise BrokenNetwork(f"`{node.name}` is not an item of its region, {_title(node.region)}")


def _verify_items(network: Network) -> None:
    """Check that the items of every region are in the order of data flow."""
    order = {number: place for place, number in enumerate(network.order)}
    for region in walk(network.regions):
        firsts = [order[first] for item in region.items if (first := _first(item)) is not None]
        if firsts != sorted(firsts):
            raise BrokenNetwork(f"the items of {_title(region)} are not in the order of data flow")


def _first(item: int | Region) -> int | None:
    return item if isinstance(item, int) else next(item.nodes(), None)


def _verify_region(network: Network, region: Region) -> None:
    if region.exit not in network.graph:
        raise BrokenNetwork(f"the exit of {_title(region)} is node {region.exit}, which does not exist")
    entry = region.entry if isinstance(region, Block | BlockRow | Shortcut | Lateral | Conversion) else NO_VALUE
    if entry != NO_VALUE and entry not in network.graph:
        raise BrokenNetwork(f"the entry of {_title(region)} is node {entry}, which does not exist")
    if any(inner.parent is not region for inner in region.inner):
        raise BrokenNetwork(f"a region in {_title(region)} has another parent")
    if isinstance(region, BlockRow):
        _verify_row(region)
    if isinstance(region, Fusion) and len(network.node(region.exit).inputs) < 2:
        raise BrokenNetwork(f"{_title(region)} has fewer than two inputs")


def _verify_row(row: BlockRow) -> None:
    labels = [block.label for block in row.blocks]
    if labels != [str(number) for number in range(len(labels))] or len(labels) != len(row.items):
        raise BrokenNetwork(f"the blocks of {_title(row)} are not numbered from 0: {', '.join(labels)}")


def _title(region: Region) -> str:
    return f"{type(region).__name__} `{region.name}`"


def _repeated(values: Iterable[object]) -> list[object]:
    return [value for value, number in Counter(values).items() if number > 1]
