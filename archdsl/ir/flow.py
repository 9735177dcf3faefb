"""Order of calls in the forward pass: the parts of a network that can be a single call, and a topological order."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from archdsl.ir.regions import Block, BlockRow
from archdsl.ir.rows import row_of_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.network import Network
    from archdsl.ir.regions import InputPlace, Item, Part, Region

    _Read = tuple[Part | InputPlace, int, Part | InputPlace | None]  # part that computes a value, value, reading part


def externals(network: Network, region: Region) -> list[int]:
    """Return the values computed outside a region that it reads, in the order of their first use.

    That which enters a block or a row of blocks is the first.
    """
    if isinstance(region, Block):
        others = _read_by(network, region) if region.values else ()
        return [region.entry, *(value for value in others if value != region.entry)]
    row = region.blocks if isinstance(region, BlockRow) else row_of_blocks(region)
    if not row:
        return _read_by(network, region)
    made = {block.entry for block in row[1:]}
    others = dict.fromkeys(value for block in row for value in externals(network, block)[1:])
    return [row[0].entry, *(value for value in others if value not in made)]


def reads_of(network: Network, row: Sequence[Block]) -> list[tuple[int, ...]]:
    """Return which of the values besides the first that a row reads each of its blocks reads, by their numbers."""
    others = externals(network, row[0].parent)[1:]
    return [tuple(map(others.index, externals(network, block)[1:])) for block in row]


def _read_by(network: Network, region: Region) -> list[int]:
    """Return the values computed outside a region that its layers read, and its exit if none of them gives it."""
    inside = set(region.nodes())
    values = dict.fromkeys(i for n in region.nodes() for i in network.node(n).inputs if i not in inside)
    if region.exit not in inside:
        values[region.exit] = None
    return list(values)


def is_stateless(network: Network, region: Region) -> bool:
    """Return True if a region has no submodule, so that its operations can be inlined."""
    return not any(node.is_module for node in map(network.node, region.nodes()))


@dataclass(frozen=True)
class Piece:
    """A call in the forward pass: a part of the network as a module, or an item of a part that is not a single call."""

    region: Part
    member: Item | None  # None for the whole region
    value: int
    operands: tuple[int, ...]


def interleaved(network: Network) -> set[Part]:
    """Return the parts with submodules that cannot be a single call.

    Other parts read an inner value of such a part, or the part reads a value that depends on its own inner values.
    """
    return {region for region in opened(network) if not is_stateless(network, region)}


def opened(network: Network) -> set[Part]:
    """Return the parts whose items are calls of the forward pass itself: those, and all without submodules."""
    return {piece.region for piece in pieces(network) if piece.member is not None}


def pieces(network: Network) -> list[Piece]:
    """Return the calls that compute a network, each after the calls that compute its operands."""
    opened = _read_in_the_middle(network) | {region for region in network.regions if is_stateless(network, region)}
    while True:
        calls = [p for region in network.regions for p in _pieces(network, region, is_open=region in opened)]
        order, cyclic = _sorted(calls)
        closed = {p.region for p in cyclic if p.member is None}
        if not closed:
            return order
        opened |= closed


def _read_in_the_middle(network: Network) -> set[Part]:
    """Return the parts of which another part reads a value other than the exit."""
    ends: dict[Part | InputPlace, int] = {part: part.exit for part in network.regions}
    reads: list[_Read] = [
        (network.node(i).region.top, i, node.region.top) for node in network.all_nodes() for i in node.inputs
    ]
    reads += [
        (network.node(region.exit).region.top, region.exit, region) for region in network.regions if region.exit >= 0
    ]
    reads += [(network.node(output).region.top, output, None) for output in network.outputs.values()]
    middle = {source for source, value, reader in reads if source is not reader and ends.get(source) != value}
    return {part for part in network.regions if part in middle}


def _pieces(network: Network, region: Part, *, is_open: bool) -> list[Piece]:
    if not is_open:
        return [Piece(region, None, region.exit, tuple(externals(network, region)))]
    members: Sequence[Item] = list(region.nodes()) if is_stateless(network, region) else region.items
    calls: list[Piece] = []
    for member in members:
        if isinstance(member, int):
            calls.append(Piece(region, member, member, network.node(member).inputs))
        else:
            calls.append(Piece(region, member, member.exit, tuple(externals(network, member))))
    return calls


def _sorted(calls: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Sort calls topologically and stably; the second list has the calls that depend on a cycle."""
    producers = {p.value: k for k, p in enumerate(calls) if p.value not in p.operands}
    users: dict[int, list[int]] = {}
    missing = [0] * len(calls)
    for k, piece in enumerate(calls):
        for producer in {producers[o] for o in piece.operands if o in producers} - {k}:
            users.setdefault(producer, []).append(k)
            missing[k] += 1
    ready = [k for k, number in enumerate(missing) if number == 0]
    heapify(ready)
    order: list[int] = []
    while ready:
        order.append(heappop(ready))
        for k in users.get(order[-1], ()):
            missing[k] -= 1
            if missing[k] == 0:
                heappush(ready, k)
    done = set(order)
    return [calls[k] for k in order], [p for k, p in enumerate(calls) if k not in done]
