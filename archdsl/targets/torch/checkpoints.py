"""Choice of the stages to checkpoint, so that the activation memory of training fits a limit."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from archdsl.analysis.cost import region_cost
from archdsl.core.sizes import size_text
from archdsl.ir.flow import interleaved, is_stateless
from archdsl.ir.network import Fitted
from archdsl.ir.regions import Stage
from archdsl.ir.rows import stage_row
from archdsl.targets.torch.memory import held, memory_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.ir.regions import Block
    from archdsl.targets.torch.select import OpNetwork

MOST = 14  # candidates: the stages with the largest activation memory


class TooLarge(ValueError):
    """Activations exceed the limit even with every stage checkpointed."""


def fit(network: OpNetwork, limit: int, batch: int) -> Fitted:
    """Return the stages of a lowered network to checkpoint: those that fit the limit with the least recompute.

    Blocks of a stage are recomputed one by one; a stage that is not a sequence of blocks is checkpointed as one block.

    Args:
        network: the lowered network.
        limit: bytes for activations, including those of the largest block while it is recomputed.
        batch: the number of clips.

    Raises:
        TooLarge: if no choice of stages is enough.
    """
    memory = memory_of(network, batch)
    stages = sorted(stages_of(network), key=lambda u: -sum(memory.of(u.nodes()).values()))[:MOST]
    costs = [region_cost(network, u).macs for u in stages]
    least = memory.total
    for macs, chosen in _by_cost(costs):
        kept, again = held(memory, [b for i in chosen for b in blocks_of(stages[i])])
        if kept + again <= limit:
            names = tuple(stages[i].name for i in sorted(chosen, key=lambda i: network.regions.index(stages[i])))
            return Fitted(names, limit, batch, memory.total, kept, again, macs)
        least = min(least, kept + again)
    clips = "1 clip takes" if batch == 1 else f"{batch} clips take"
    raise TooLarge(
        f"activations of {clips} {size_text(least)} at least, whatever is checkpointed; the limit is {size_text(limit)}"
    )


def stages_of(network: OpNetwork) -> list[Stage]:
    """Return the stages that can be checkpointed: those that are one call of a module."""
    opened = interleaved(network)
    stages = [region for region in network.regions if isinstance(region, Stage)]
    return [u for u in stages if u not in opened and not is_stateless(network, u)]


def blocks_of(stage: Stage) -> Sequence[Block | Stage]:
    """Return the units of a checkpointed stage that are recomputed separately: its blocks, or the whole stage."""
    return stage_row(stage) or [stage]


def _by_cost(costs: Sequence[int]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield every subset of the indices of `costs` with its total cost, the cheapest first."""
    order = sorted(range(len(costs)), key=costs.__getitem__)
    yield 0, ()
    waiting: list[tuple[int, tuple[int, ...]]] = []
    if order:
        heappush(waiting, (costs[order[0]], (0,)))
    while waiting:
        total, places = heappop(waiting)
        yield total, tuple(order[p] for p in places)
        last = places[-1]
        if last + 1 < len(order):
            more = costs[order[last + 1]]
            heappush(waiting, (total + more, (*places, last + 1)))
            heappush(waiting, (total + more - costs[order[last]], (*places[:-1], last + 1)))
