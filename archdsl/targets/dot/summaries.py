"""Summaries of boxes: the names of what is inside."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from archdsl.ir.regions import Block
from archdsl.targets.dot.fold import Item, flattened
from archdsl.targets.dot.style import layer_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.network import Network

DETAILED = 5  # up to so many layers are described with their attributes
SUMMARY_DEPTH = 3  # levels of single blocks that a summary unwraps


def summary(network: Network, items: list[Item]) -> list[str]:
    """Return the content of a box, such as `bottleneck ×6` or the layers one by one."""
    for _ in range(SUMMARY_DEPTH):
        if len(items) != 1 or not isinstance(only := items[0], Block):
            break
        inner = list(flattened(only.items))
        if not _is_chain(network, inner):
            break
        items = inner
    detailed = len(items) <= DETAILED
    parts: list[str] = []
    for title, group in groupby(items, lambda i: _title(network, i, detailed=detailed)):
        count = len(list(group))
        parts.append(f"{title} ×{count}" if count > 1 else title)
    return parts


def _is_chain(network: Network, items: Sequence[Item]) -> bool:
    return all(isinstance(i, Block) or len(network.node(i).inputs) == 1 for i in items)


def _title(network: Network, item: Item, *, detailed: bool) -> str:
    if isinstance(item, Block):
        return item.title
    layer = network.node(item).layer
    return layer_text(layer, settings=detailed and (layer.heavy or layer.category == "sampling"))
