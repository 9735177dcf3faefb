"""What each tensor of a variant begins from: the tensor of the same name, but where a map or a deeper stage says else.

Rows of blocks are numbered. Where a row has another length than the base's, each block begins from the one of its
number, or from one that is more like it: the last block of a stage of MViT widens it, every other one of Swin shifts
its windows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from archdsl.analysis.export import plain_values
from archdsl.ir.tensors import own_tensors
from archdsl.transfer.channels import REPEAT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from archdsl.ir.network import Network, Node

Form = frozenset[tuple[str, str]]
_INDEX = re.compile(r"(?<=\.)\d+(?=\.)")


class Place(NamedTuple):
    """The layer that a tensor belongs to, and the tensor's name in it."""

    node: Node
    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """A tensor of the variant and what it begins from: a tensor of the base, or the reason why nothing."""

    name: str
    base: str = ""
    reason: str = ""
    repeats: str = ""  # the block that this one is a further copy of


@dataclass
class _Rows:
    """The blocks of each row, by the name before their numbers: what is in each, by the names behind them."""

    blocks: dict[str, dict[int, dict[str, Form]]] = field(default_factory=dict[str, dict[int, dict[str, Form]]])

    def add(self, name: str, form: Form) -> None:
        for match in _INDEX.finditer(name):
            row = self.blocks.setdefault(name[: match.start()], {})
            row.setdefault(int(match[0]), {})[name[match.end() :]] = form

    def length(self, prefix: str) -> int:
        return max(self.blocks.get(prefix, {-1: {}})) + 1


def places(network: Network) -> dict[str, Place]:
    """Every tensor of the state dict, in the order of data flow."""
    return {
        f"{node.name}.{name}": Place(node, name, shape)
        for node in network.all_nodes()
        for name, shape in own_tensors(node).items()
    }


def pairs(
    base: Mapping[str, Place], ours: Mapping[str, Place], rename: Callable[[str], str | None], depth: str
) -> list[Pair]:
    """What each of our tensors begins from.

    Args:
        base: the tensors of the network to begin from.
        ours: those of the other network.
        rename: the name that a tensor of ours has there, before blocks are counted; None where it has none.
        depth: whether further blocks `repeat` one of the base or are `new`.
    """
    names = {name: rename(name) for name in ours}
    there, here = _Rows(), _Rows()
    for name, place in base.items():
        there.add(name, _form(place))
    for name, other in names.items():
        if other is not None:
            here.add(other, _form(ours[name]))
    counts = _Counts(there, here, depth)
    return [_pair(name, other, base, counts) for name, other in names.items()]


def _form(place: Place) -> Form:
    """What makes blocks alike: the shape of a tensor and each setting of its layer."""
    values = plain_values(place.node.layer)
    return frozenset({("", str(place.shape)), *((k, repr(v)) for k, v in values.items())})


def _pair(name: str, other: str | None, base: Mapping[str, Place], counts: _Counts) -> Pair:
    if other is None:
        return Pair(name, reason="what BASE calls so begins another tensor")
    found, repeats = counts.renumbered(other)
    if found is None:
        return Pair(name, reason=f"BASE has {counts.there.length(repeats)} blocks in `{repeats.rstrip('.')}`")
    if found not in base:
        return Pair(name, reason="BASE has none of this name" if found == name else f"BASE has no `{found}`")
    return Pair(name, found, repeats=repeats)


class _Counts:
    """Numbers of blocks: ours to the base's."""

    def __init__(self, there: _Rows, here: _Rows, depth: str) -> None:
        self.there = there
        self.here = here
        self.depth = depth
        self.row = cache(self._row)

    def renumbered(self, name: str) -> tuple[str | None, str]:
        """A name with the numbers that its blocks have there, and the block that it repeats, if it does.

        Without a block there: None, and the row.
        """
        prefix, rest, repeats = "", name, ""
        at = 0
        for match in _INDEX.finditer(name):
            prefix += name[at : match.start()]
            number, again = self.row(prefix, name[: match.start()]).get(int(match[0]), (int(match[0]), False))
            if number < 0:
                return None, prefix
            repeats = f"{prefix}{number}" if again else repeats
            prefix += str(number)
            at = match.end()
        rest = name[at:]
        return prefix + rest, repeats

    def _row(self, theirs: str, ours: str) -> dict[int, tuple[int, bool]]:
        """For each block of ours in a row the number there, and whether another one has it, too; -1: none."""
        before, row = self.there.blocks.get(theirs, {}), self.here.blocks[ours]
        if not before or before.keys() == row.keys():
            return {}
        found: dict[int, tuple[int, bool]] = {}
        taken: set[int] = set()
        for number, block in sorted(row.items()):
            best = max(before, key=lambda k, n=number, b=block: (_likeness(b, before[k]), k == n, k))
            again = best in taken
            found[number] = (-1 if again and self.depth != REPEAT else best, again)
            taken.add(best)
        return found


def _likeness(one: Mapping[str, Form], other: Mapping[str, Form]) -> int:
    return sum(len(one[name] & other.get(name, frozenset())) for name in one)
