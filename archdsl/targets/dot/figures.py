"""Costs, categories and texts of layers, which are the same in all looks of a diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.analysis.cost import Cost, node_cost
from archdsl.targets.dot.style import layer_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.ir.network import Network
    from archdsl.targets.dot.copies import Copies


class Figures:
    """Costs, categories and texts of the layers of a network, each computed once."""

    def __init__(self, network: Network, copies: Copies) -> None:
        self.network = network
        self.copies = copies
        self._texts: dict[int, str] = {}
        self._known: dict[tuple[int, ...], tuple[Cost, str]] = {}

    def text(self, number: int) -> str:
        """Return the text of a layer: what all folded copies have in common, and the ranges of what differs."""
        if number not in self._texts:
            layer, copies = self.network.node(number).layer, self.copies
            self._texts[number] = layer_text(layer, settings=number not in copies.varying) + copies.varied(number)
        return self._texts[number]

    def cost(self, nodes: Iterable[int]) -> Cost:
        """Return the total cost of some layers."""
        return self._of(tuple(nodes))[0]

    def category(self, nodes: Iterable[int]) -> str:
        """Return the category of a box: attention if any, else that of most multiply-adds, parameters, or layers."""
        return self._of(tuple(nodes))[1]

    def _of(self, nodes: tuple[int, ...]) -> tuple[Cost, str]:
        if nodes not in self._known:
            self._known[nodes] = self._counted(nodes)
        return self._known[nodes]

    def _counted(self, nodes: tuple[int, ...]) -> tuple[Cost, str]:
        totals: dict[str, tuple[int, int, int]] = {}
        total = Cost()
        for node in map(self.network.node, nodes):
            cost = node_cost(node)
            macs, params, number = totals.get(node.layer.category, (0, 0, 0))
            totals[node.layer.category] = macs + cost.macs, params + cost.params, number + 1
            total += cost
        if "attention" in totals:
            return total, "attention"
        return total, max(totals, key=lambda c: totals[c]) if totals else ""
