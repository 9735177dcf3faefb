"""Summaries of boxes: the names of what is inside, one behind the other, and in brackets where values are joined."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from archdsl.ir.regions import Block
from archdsl.targets.dot.fold import Item, flattened, nodes_of
from archdsl.targets.dot.style import layer_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.network import Network
    from archdsl.targets.dot.weights import Weights

DETAILED = 5  # up to so many layers are described with their attributes
SUMMARY_DEPTH = 3  # levels of single blocks that a summary unwraps
OUTSIDE = -1  # the first value that enters, in place of an item that gives it; the next one is -2
NOWHERE = -1_000_000  # behind no item and no value that enters
RESIDUAL, ENTERING = "residual", "x"

Chain = tuple[str, ...]  # names of what follows each other, with brackets and, behind a branch, a comma


class Summary(NamedTuple):
    """The content of a box; a `chain` if its parts follow each other, else they are in no order."""

    parts: list[str]
    chain: bool = True


def summary(network: Network, items: list[Item], weights: Weights) -> Summary:
    """Return the content of a box, such as `bottleneck ×6` or the layers one by one.

    Branches are in brackets: `residual(bn → conv)`, `concat(conv, maxpool → conv)`, `multiply(x, avgpool → linear)`.
    """
    for _ in range(SUMMARY_DEPTH):
        if len(items) != 1 or not isinstance(only := items[0], Block):
            break
        inner = list(flattened(only.items))
        if not _is_chain(network, inner):
            break
        items = inner
    chains = _Chains(network, items, weights)
    found = chains.all()
    if found is not None:
        return Summary([part for chain in _counted(found) for part in chain])
    chains.detailed = False
    titles = [chains.title(item) for item in items]
    return Summary([_times(title, titles.count(title)) for title in dict.fromkeys(titles)], chain=False)


def _is_chain(network: Network, items: Sequence[Item]) -> bool:
    return all(isinstance(i, Block) or len(network.node(i).inputs) == 1 for i in items)


class _Chains:
    """Items as chains, with the branches of each join in its brackets."""

    def __init__(self, network: Network, items: Sequence[Item], weights: Weights) -> None:
        self.network, self.items, self.weights = network, items, weights
        self.detailed = len(items) <= DETAILED
        self.sources: dict[int, list[int]] = {}  # of each item, those that it reads, and values that enter
        self.before: dict[int, set[int]] = {}  # of each item, itself and those on all ways to it
        self.reached: dict[int, set[int]] = {}  # of each item, itself and those on any way to it
        owner = {n: k for k, item in enumerate(items) for n in nodes_of([item])}
        for k, item in enumerate(items):
            read = [u for n in nodes_of([item]) for u in network.node(n).inputs if owner.get(u) != k]
            for value in read:
                self._enter(owner.setdefault(value, OUTSIDE - len(owner)))
            sources = [owner[u] for u in read]
            self._add(k, sources if isinstance(item, int) else list(dict.fromkeys(sources)))

    def _enter(self, value: int) -> None:
        if value < 0:
            self.before[value] = self.reached[value] = {value, NOWHERE}

    def _add(self, number: int, sources: Sequence[int]) -> None:
        """Add an item; of the values that enter at it, those are left out that are on no other way to it."""
        known: set[int] = set[int]().union(*(self.reached[s] for s in sources if s >= 0))
        sources = [s for s in sources if s in known or s >= 0] or sources[:1]
        self.sources[number] = list(sources)
        self.before[number] = {number, *self._shared(sources)}
        self.reached[number] = {number}.union(*(self.reached[s] for s in sources))

    def _shared(self, sources: Sequence[int]) -> set[int]:
        """Return what is on all ways to each of some items or values."""
        shared = self.before[sources[0]] if sources else {NOWHERE}
        for source in sources[1:]:
            shared = shared & self.before[source]
        return shared

    def all(self) -> list[Chain] | None:
        """Return the whole as chains; None if an item would stand in it several times or not at all."""
        self._placed: list[int] = []
        found = self._chain(len(self.items) - 1, NOWHERE)
        return found if sorted(self._placed) == list(range(len(self.items))) else None

    def title(self, item: Item) -> str:
        """Return an item in words, with settings if there are only a few."""
        if isinstance(item, Block):
            name = self.weights.titled(item.title, item)
            shared = self.weights.shared_with(item)
        else:
            node = self.network.node(item)
            detailed = self.detailed and (node.layer.heavy or node.layer.category == "sampling")
            name = self.weights.titled(layer_text(node.layer, settings=detailed), node)
            shared = self.weights.shared_with(node)
        return f"{name} ({shared})" if shared else name

    def _chain(self, last: int, stop: int) -> list[Chain]:
        """Return what is behind one item, up to another; none if something stands there several times."""
        found: list[Chain] = []
        while last >= 0 and last != stop and len(self._placed) <= len(self.items):
            self._placed.append(last)
            sources = self.sources[last]
            if len(sources) <= 1:
                found.append((self.title(self.items[last]),))
                last = sources[0] if sources else NOWHERE
            else:
                fork = max(self._shared(sources))
                found.append(self._join(last, [_counted(self._chain(s, fork)) for s in sources]))
                last = fork
        return found[::-1]

    def _join(self, number: int, branches: Sequence[Sequence[Chain]]) -> Chain:
        """Return a join with its branches in brackets."""
        title = self.title(self.items[number])
        long = [[part for chain in branch for part in chain] for branch in branches]
        if title == "add" and len(long) == 2 and [] in long and any(long):
            title, long = RESIDUAL, [branch for branch in long if branch]
        long = [branch or [ENTERING] for branch in long]
        end = ";" if any(", " in part for branch in long for part in branch) else ","
        parts = long[0]
        for branch in long[1:]:
            parts = [*parts[:-1], parts[-1] + end, *branch]
        return (f"{title}({parts[0]}", *parts[1:-1], f"{parts[-1]})") if len(parts) > 1 else (f"{title}({parts[0]})",)


def _counted(chains: Sequence[Chain]) -> list[Chain]:
    """Return chains with equal ones that follow each other as one, with their number."""
    found: list[Chain] = []
    for chain, group in groupby(chains):
        found.append((*chain[:-1], _times(chain[-1], len(list(group)))))
    return found


def _times(title: str, count: int) -> str:
    return f"{title} ×{count}" if count > 1 else title
