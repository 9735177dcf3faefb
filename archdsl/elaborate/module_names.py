"""The names of modules, and so of tensors: what a spec labels, else the kind of layer or block.

In a stage that consists of blocks, they are numbered from 0 in the order of data flow; a single block takes the stage's
own name. Repeated blocks beside something else are numbered below `blocks`. Everything else is called by its kind,
numbered from 1 where a kind occurs more than once.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain, count
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.ir.network import Network, Node
from archdsl.ir.regions import Block, BlockRow, Featured, Fusion, Head
from archdsl.ir.rows import row_of_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archdsl.core.report import Reporter
    from archdsl.core.source import Span
    from archdsl.ir.regions import Inner, Item, Region


def assign_labels(network: Network, reporter: Reporter) -> None:
    """Label every node and region."""
    for region in network.regions:
        if row := row_of_blocks(region):
            _number_row(region)
            for block in row:
                _label_members(network, block, reporter)
        else:
            _label_members(network, region, reporter)
    _tell_fusions_apart(network)
    _check_tops(network, reporter)
    for name, number in network.inputs.items():
        network.node(number).label = name


def _tell_fusions_apart(network: Network) -> None:
    """Number the joins of laterals whose names a layer of the same stage and path has, or another lateral's join."""
    fused = {n for region in network.regions if isinstance(region, Fusion) for n in region.nodes()}
    taken = {node.name for node in network.all_nodes() if node.id not in fused}
    for node in map(network.node, sorted(fused)):
        kind = node.label
        labels = chain([kind], (f"{kind}{k}" for k in count(2)))
        node.label = next(label for label in labels if f"{node.region.name}.{label}" not in taken)
        taken.add(node.name)


def _number_row(region: Region) -> None:
    blocks = [i for i in region.items if isinstance(i, Block)]
    alone = len(blocks) == 1 and not blocks[0].repeat
    for index, block in enumerate(blocks):
        block.label = "" if alone else str(index)


def _label_members(network: Network, region: Region, reporter: Reporter) -> None:
    gather_rows(region)
    members = [network.node(item) if isinstance(item, int) else item for item in region.items]
    _number([m for m in members if not (isinstance(m, Node | Block) and m.explicit)])
    _check(network, members, reporter)
    for member in region.inner:
        if isinstance(member, BlockRow):
            _number_row(member)
            for block in member.blocks:
                _label_members(network, block, reporter)
        else:
            _label_members(network, member, reporter)


def gather_rows(region: Region) -> None:
    """Group the blocks that a `*` repeats into a region, except for blocks named by `as`."""
    items: list[Item] = []
    for item in region.items:
        if not isinstance(item, Block) or not item.repeat or item.explicit:
            items.append(item)
            continue
        row = items[-1] if items else None
        if not isinstance(row, BlockRow) or row.blocks[0].repeat != item.repeat:
            row = BlockRow(parent=region, label="blocks")
            items.append(row)
        item.parent = row
        row.items.append(item)
        row.exit = item.exit
    region.items = items


def _number(members: Sequence[Node | Inner]) -> None:
    kinds = [m.layer.kind if isinstance(m, Node) else m.label for m in members]
    total, seen = Counter(kinds), Counter[str]()
    for member, kind in zip(members, kinds, strict=True):
        seen[kind] += 1
        member.label = kind if total[kind] == 1 else f"{kind}{seen[kind]}"


def _check(network: Network, members: Iterable[Node | Inner], reporter: Reporter) -> None:
    taken: dict[str, Span | None] = {}
    for member in members:
        span = _place(network, member)
        if member.label in taken:
            other = taken[member.label]
            notes = [Note("first here", other)] if other is not None and span is not None else []
            place = span or other
            if place is not None:
                reporter.report("E0203", place, f"two layers of one block are called `{member.label}`", notes)
        taken.setdefault(member.label, span)


def _check_tops(network: Network, reporter: Reporter) -> None:
    """Two parts of a stage would share a name if two laterals joined the same paths, or a path were called as one."""
    taken: dict[str, Span] = {}
    for region in network.regions:
        span = _place(network, region)
        if not isinstance(region, Featured | Head) or span is None:
            continue
        if region.name in taken:
            note = Note("first here", taken[region.name])
            reporter.report("E0203", span, f"two parts of the network are called `{region.name}`", [note])
        taken.setdefault(region.name, span)


def _place(network: Network, member: Node | Region) -> Span | None:
    """Return the place in the spec of a layer, a block or a line; None for a shortcut that is not there."""
    if isinstance(member, Node | Block):
        return member.span
    for item in member.items:
        found = _place(network, network.node(item) if isinstance(item, int) else item)
        if found is not None:
            return found
    return member.span if isinstance(member, Featured) else None
