"""Remarks of diagrams on weights: that they are not trained, or belong to another layer or block as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.ir.network import Node
from archdsl.ir.regions import Block, around
from archdsl.targets.dot.style import FROZEN_LINE, LINE, colour, paler, parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from archdsl.analysis.cost import Cost
    from archdsl.ir.network import Network
    from archdsl.ir.regions import Region

FROZEN = "frozen"
EXPLAINED = "frozen: not trained"


class Weights:
    """The layers and blocks of a network whose weights are frozen, or used by several of them."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._frozen = {node.id for node in network.all_nodes() if _is_frozen(node)}
        self._partly = {node.id for node in network.all_nodes() if node.frozen_weights} - self._frozen
        has_any = self._frozen or self._partly
        self._modules = {node.id for node in network.all_nodes() if has_any and node.is_module}
        self._used: set[tuple[Region, str]] = set()  # the regions and labels of what others share the weights of
        for item in (item for node in network.all_nodes() for item in _with_blocks(node)):
            if item.shares:
                self._used.add((_region(item), item.shares))

    def is_frozen(self, numbers: Iterable[int]) -> bool:
        """Return True if layers have weights and none of them is trained, or have none and all are frozen."""
        if not self._frozen:
            return False
        inside = set(numbers)
        decisive = inside & self._modules or inside
        return bool(decisive) and decisive <= self._frozen

    def state(self, numbers: Sequence[int], cost: Cost | None = None) -> str:
        """Return `frozen` for layers whose weights are, or which are trained of a `cost`; empty if all are."""
        if not (self._frozen & self._modules | self._partly).intersection(numbers):
            return ""
        if self.is_frozen(numbers):
            return FROZEN
        return f"partly {FROZEN}" if cost is None else f"{parameters(cost.trained)} trained"

    def fill(self, category: str, numbers: Iterable[int], *, frozen: bool = False) -> str:
        """Return the fill colour of layers in a category, or of a step inside of one, which may be frozen alone."""
        return paler(colour(category)) if frozen or self.is_frozen(numbers) else colour(category)

    def line(self, numbers: Iterable[int], *, frozen: bool = False) -> str:
        """Return the colour of a border around layers, or around a step inside of one."""
        return FROZEN_LINE if frozen or self.is_frozen(numbers) else LINE

    def name(self, item: Node | Block | None) -> str:
        """Return the name of a layer or block by which others refer to its weights; empty if none does."""
        return item.label if item is not None and (_region(item), item.label) in self._used else ""

    def titled(self, title: str, item: Node | Block | None) -> str:
        """Return a title behind this name: `attn: attention`."""
        return ": ".join(filter(None, [self.name(item), title]))

    def shared_with(self, item: Node | Block | None) -> str:
        """Return whose weights a layer or block has, as a sentence; empty for its own."""
        return f"shares weights with {item.shares}" if item is not None and item.shares else ""

    def shared_inside(self, numbers: Iterable[int]) -> str:
        """Return which layers and blocks inside of a box are used with the same weights again."""
        inside = set(numbers)
        items = [item for n in sorted(inside) for item in _with_blocks(self.network.node(n)) if item.shares]
        names = dict.fromkeys(
            item.shares for item in items if isinstance(item, Node) or inside.issuperset(item.nodes())
        )
        return f"weights used again: {', '.join(names)}" if names else ""


def _with_blocks(node: Node) -> Iterator[Node | Block]:
    """Yield a layer and the blocks around it."""
    yield node
    yield from (region for region in around(node.region) if isinstance(region, Block))


def _is_frozen(node: Node) -> bool:
    """Return True if a layer is frozen, or its own lines freeze all of its weights."""
    held = 0 if node.is_frozen else len(node.frozen_weights)
    return node.is_frozen or 0 < held == len(node.layer.weights(*node.input_shapes))


def _region(item: Node | Block) -> Region:
    return item.parent if isinstance(item, Block) else item.region
