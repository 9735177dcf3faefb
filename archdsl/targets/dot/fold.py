"""Repeats in a sequence of layers and blocks: `a b b b` folds to `a`, `b ×3`, and `a b a b` to `(a b) ×2`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.ir.regions import Block
from archdsl.ir.regions import Item as AnyItem
from archdsl.layers.interior import Openable
from archdsl.targets.dot.style import drawn_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.ir.network import Network, Node

Item = int | Block
MAX_PERIOD = 6  # items that alternate, such as blocks with plain and with shifted windows


class Run(NamedTuple):
    """Consecutive copies of some items, of which the first is drawn."""

    items: list[Item]
    copies: list[list[int]]  # the nodes of each copy, in the same order

    @property
    def times(self) -> int:
        """The number of copies."""
        return len(self.copies)


def flattened(items: Sequence[AnyItem]) -> Iterator[Item]:
    """Yield layers and blocks; other regions, such as shortcuts, are replaced by their items, empty blocks left out."""
    for item in items:
        if not isinstance(item, int | Block):
            yield from flattened(item.items)
        elif nodes_of([item]):
            yield item


def nodes_of(items: Sequence[Item]) -> list[int]:
    """Return the node ids of all layers in the items, in the order of data flow."""
    return [n for item in items for n in ((item,) if isinstance(item, int) else item.nodes())]


def runs(network: Network, items: Sequence[Item]) -> list[Run]:
    """Return the items as runs, with repeats of up to `MAX_PERIOD` items folded."""
    result: list[Run] = []
    start = 0
    while start < len(items):
        best = Run([items[start]], [nodes_of([items[start]])])
        for period in range(1, min(MAX_PERIOD, (len(items) - start) // 2) + 1):
            run = _repeat(network, items, start, period)
            if run.times > 1 and run.times * period > best.times * len(best.items):
                best = run
        result.append(best)
        start += best.times * len(best.items)
    return result


def _repeat(network: Network, items: Sequence[Item], start: int, period: int) -> Run:
    window = list(items[start : start + period])
    copies = [nodes_of(window)]
    position = start + period
    while position + period <= len(items):
        following = items[position : position + period]
        nodes = nodes_of(following)
        if not _alike(window, following) or not _continues(network, copies, nodes):
            break
        copies.append(nodes)
        position += period
    return Run(window, copies)


def _alike(first: Sequence[Item], second: Sequence[Item]) -> bool:
    """Return True if two sequences have the same blocks in the same places; `_continues` compares their layers."""
    return [_outline(i) for i in first] == [_outline(i) for i in second]


def _outline(item: Item) -> Any:
    if isinstance(item, int):
        return None
    return item.signature.name, tuple(_outline(i) for i in flattened(item.items))


def _continues(network: Network, copies: list[list[int]], nodes: list[int]) -> bool:
    """Return True if `nodes` are one more copy.

    They must have the same layers, read the copy before, and be the only layers that read it.
    """
    before = copies[-1]
    if len(before) != len(nodes) or not nodes:
        return False
    entry = _entry(network, nodes)
    if entry not in before:
        return False
    if _signature(network, copies[0]) != _signature(network, nodes):
        return False
    if len(copies) > 1 and before.index(entry) != copies[-2].index(_entry(network, before)):
        return False
    inside = {*before, *nodes}
    seen_by: set[int] = {v for u in before for v in network.graph.successors(u)}
    return seen_by <= inside and not any(output in before for output in network.outputs.values())


def _entry(network: Network, nodes: Sequence[int]) -> int:
    """Return the first value from outside that the layers read, or -1."""
    inside = set(nodes)
    return next((u for n in nodes for u in network.node(n).inputs if u not in inside), -1)


def _signature(network: Network, nodes: Sequence[int]) -> tuple[Any, ...]:
    place = {n: i for i, n in enumerate(nodes)}
    entry = _entry(network, nodes)
    return tuple(_layer_signature(network.node(n), place, entry) for n in nodes)


def _layer_signature(node: Node, place: dict[int, int], entry: int) -> tuple[Any, ...]:
    inputs = tuple(("in", place[u]) if u in place else ("entry",) if u == entry else ("out", u) for u in node.inputs)
    inside = node.layer.connections() if isinstance(node.layer, Openable) else ()
    weights = tuple(node.frozen_weights), node.is_shared, node.shares
    return node.layer.kind, settings(node), inside, weights, str(node.shape), tuple(map(str, node.input_shapes)), inputs


def settings(node: Node) -> str:
    """Return a layer's attributes as text; empty for dropout and the like, whose rates may differ between repeats."""
    return "" if node.layer.training_only else str(drawn_values(node.layer))
