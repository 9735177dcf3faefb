"""Copies of layers in folded runs, of which the first is drawn."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from archdsl.targets.dot.settings import range_text
from archdsl.targets.dot.style import drawn_values

if TYPE_CHECKING:
    from archdsl.ir.network import Network
    from archdsl.targets.dot.fold import Run


class Copies:
    """Record of the runs of a network, and of the layers that represent others in the diagram."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.varying: set[int] = set()  # drawn layers whose attributes differ between the folded copies
        self._drawn: dict[int, int] = {}  # a folded layer -> the one in the first copy
        self._copy: dict[int, list[tuple[int, int]]] = {}  # the runs of a layer, with the index of its copy in each
        self._runs = 0

    def note(self, run: Run) -> None:
        """Record the layer of the first copy that is drawn for each layer of the other copies."""
        if run.times == 1:
            return
        self._runs += 1
        for index, copy in enumerate(run.copies):
            for first, n in zip(run.copies[0], copy, strict=True):
                self._copy.setdefault(n, []).append((self._runs, index))
                if index:
                    self._drawn[n] = first
                    here, there = (drawn_values(self.network.node(number).layer) for number in (n, first))
                    if str(here) != str(there):
                        self.varying.add(first)

    @cached_property
    def represented(self) -> dict[int, list[int]]:
        """The layers that each drawn layer stands for."""
        found: dict[int, list[int]] = {}
        for number in self.network.order:
            found.setdefault(self.drawn(number), []).append(number)
        return found

    def varied(self, number: int) -> str:
        """Return the ranges of a drawn layer's attributes that differ between the folded copies, as in ` 0.05–0.2`."""
        if number not in self.varying:
            return ""
        settings = [drawn_values(self.network.node(n).layer) for n in self.represented[number]]
        values = ([found[name] for found in settings] for name in settings[0])
        return "".join(f" {range_text(v)}" for v in values if any(x != v[0] for x in v))

    def drawn(self, number: int) -> int:
        """Return the layer that is drawn for this one: itself, or its counterpart in the first copy of a run."""
        while number in self._drawn:
            number = self._drawn[number]
        return number

    def folded_away(self, source: int, target: int) -> bool:
        """Return True if an edge is between two copies of a run, or inside a copy that is not drawn."""
        copies = dict(self._copy.get(source, ()))
        return any(run in copies and (index or copies[run]) for run, index in self._copy.get(target, ()))
