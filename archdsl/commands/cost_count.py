"""Counts of a spec for `archdsl cost`, with the published figures."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from archdsl.analysis.cost import cost_rows, total_cost
from archdsl.analysis.cost_table import figures_of
from archdsl.commands.common import analysed
from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic
from archdsl.targets.torch.memory import Memory, memory_of, memory_rows

if TYPE_CHECKING:
    from archdsl.analysis.cost_table import Figures
    from archdsl.commands.options import SpecOptions
    from archdsl.ir.network import Network

TOLERANCE = 0.02  # of a published figure


class Published(NamedTuple):
    """A published figure, with the count for comparison."""

    what: str
    ours: int
    theirs: float
    unit: str
    scale: float

    @property
    def difference(self) -> float:
        """The relative difference of the count from the published figure."""
        return self.ours / self.theirs - 1

    def __str__(self) -> str:
        counted = f"{self.ours / self.scale:.3f} {self.unit} counted"
        return f"{counted}, {self.theirs / self.scale:g} {self.unit} published"


class Count:
    """The counts of a spec, for the user's clip size and for that of the published figures."""

    def __init__(self, spec: str, options: SpecOptions, batch: int | None = None) -> None:
        self.spec = spec
        self.options = options
        self.batch = batch  # clips, for the activation memory
        self.analysis = analysed(spec, options)

    @property
    def network(self) -> Network:
        return self.analysis.network

    @property
    def is_changed(self) -> bool:
        """True if options change parameters of the spec, so that the published figures do not apply."""
        return bool(self.options.settings or self.options.like)

    @cached_property
    def published_network(self) -> Network:
        """The network for the clip size of the published figures; `network` if they name none."""
        published = self.network.published
        if published is None or published.clip is None:
            return self.network
        return analysed(self.spec, self.options, published.clip).network

    @property
    def figures(self) -> Figures:
        """The row in a comparison: without --clip, for the clip size of the published figures."""
        published = None if self.is_changed else self.network.published
        network = self.network if self.options.clip is not None or published is None else self.published_network
        if published is not None and published.clip not in (None, self.options.clip) and network is self.network:
            published = None
        memory = None if self.batch is None else _memory(network, self.batch).total
        return figures_of(network.name, network, published, memory)

    @cached_property
    def memory(self) -> Memory | None:
        """The activation memory of training with `batch` clips; None without `batch`."""
        return None if self.batch is None else _memory(self.network, self.batch)

    def row_memory(self, level: str) -> list[int]:
        """Return the bytes of activations of each row of a cost table; none without `batch`."""
        if self.memory is None:
            return []
        kept: dict[tuple[str, str], int] = {}
        for row in memory_rows(self.memory, level):
            kept[row.name, row.path] = kept.get((row.name, row.path), 0) + row.bytes
        return [kept.get((row.name, row.path), 0) for row in cost_rows(self.network, level)]

    @cached_property
    def differences(self) -> list[Published]:
        """The published figures, with the counts for comparison."""
        published = self.network.published
        if published is None or self.is_changed:
            return []
        total = total_cost(self.published_network)
        found: list[Published] = []
        if published.params:
            found.append(Published("parameters", total.params, published.params, "M", 1e6))
        if published.macs:
            found.append(Published("multiply-adds", total.macs, published.macs, "G", 1e9))
        return found

    @property
    def comparison(self) -> list[str]:
        """Lines that compare the counts with the published figures."""
        published = self.network.published
        if published is None:
            return []
        if self.is_changed:
            return ["published figures are for the spec without --set and --like: not compared"]
        network = self.published_network
        inputs = ", ".join(str(network.node(n).shape) for n in network.clips.values())
        lines = [f"{d.what} at {inputs}: {d} ({d.difference:+.2%})" for d in self.differences]
        return [*lines, f"published: {published.source}"] if published.source else lines

    @property
    def warnings(self) -> list[Diagnostic]:
        """Warnings about published figures that are too far from the counts."""
        statement = self.analysis.program.published
        if statement is None:
            return []
        far = [d for d in self.differences if abs(d.difference) > TOLERANCE]
        return [
            Diagnostic("W0102", TITLES["W0102"], statement.span, f"{d.what}: {d}, {d.difference:+.1%}") for d in far
        ]


def _memory(network: Network, batch: int) -> Memory:
    from archdsl.targets.torch.lower import lower

    return memory_of(lower(network), batch)
