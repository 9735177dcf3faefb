"""Features of a model: which values `forward_features` returns, and under which names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.ir.regions import Conversion, Featured, Fusion
from archdsl.targets.torch.free_names import FreeNames
from archdsl.targets.torch.ops.layouts import GRID

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from archdsl.ir.network import Network


class Features:
    """The names of values: outputs of stages and laterals, then what the head reads besides.

    A part of a stage that does nothing gives a value that has a name already: it is an alias.
    """

    def __init__(self, network: Network, made: Collection[int], read: Iterable[int]) -> None:
        """Choose names.

        Args:
            network: the network, lowered.
            made: the values that `forward_features` computes.
            read: those that the head reads, which may be inputs of the network.
        """
        self.network = network
        self.names: dict[int, str] = {}
        self.aliases: list[tuple[str, int]] = []
        self._name_stages(made)
        self.read = list(dict.fromkeys(read))
        inputs = set(network.inputs.values())
        free = FreeNames([*self.names.values(), *(name for name, _ in self.aliases)])
        for value in self.read:
            if value not in self.names and value not in inputs:
                self.names[value] = free.take(self._name(value))

    def _name_stages(self, made: Collection[int]) -> None:
        regions = self.network.regions
        written = {u.entry: u.exit for u in regions if isinstance(u, Conversion) and self._gives_grid(u)}
        for region in regions:
            if isinstance(region, Featured):
                value = written.get(region.exit, region.exit)
                if value in made and value not in self.names and any(True for _ in region.nodes()):
                    self.names[value] = region.name
                else:
                    self.aliases.append((region.name, value))

    def _gives_grid(self, layout: Conversion) -> bool:
        """Tell whether a conversion puts the channels of a stage's output first, as features have them."""
        return getattr(self.network.node(layout.exit).layer, "after", "") == GRID

    def _name(self, value: int) -> str:
        """Return a name, not yet a free one, for a value that the head reads and that is no output of a stage."""
        node = self.network.node(value)
        region = node.region.top
        source = self.network.node(region.entry).region.top if isinstance(region, Conversion) else region
        if isinstance(source, Fusion):
            return f"{region.name}.fused"
        return region.name if value == region.exit else node.name
