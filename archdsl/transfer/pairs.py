"""Correspondence between the tensors of a variant and of its base: by name, except for a map or another depth.

Blocks in a row are numbered. If a row has another length than the base's, each block is initialised from the one of its
number, or from a more similar one: the last block of a stage of MViT widens it, every other one of Swin has shifted
windows.
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
    """A tensor of the variant, with the tensor of the base that it is initialised from, or the reason for none."""

    name: str
    base: str = ""
    reason: str = ""
    repeats: str = ""  # the block of the base that is used once more for this one


@dataclass
class _Rows:
    """The blocks of each row, by prefix and number, with the form of each of their tensors by the rest of its name."""

    blocks: dict[str, dict[int, dict[str, Form]]] = field(default_factory=dict[str, dict[int, dict[str, Form]]])

    def add(self, name: str, form: Form) -> None:
        for match in _INDEX.finditer(name):
            row = self.blocks.setdefault(name[: match.start()], {})
            row.setdefault(int(match[0]), {})[name[match.end() :]] = form

    def length(self, prefix: str) -> int:
        return max(self.blocks.get(prefix, {-1: {}})) + 1


def places(network: Network) -> dict[str, Place]:
    """Return every tensor of the state dict by name, in the order of data flow."""
    return {
        f"{node.name}.{name}": Place(node, name, shape)
        for node in network.all_nodes()
        for name, shape in own_tensors(node).items()
    }


def pairs(
    base: Mapping[str, Place], ours: Mapping[str, Place], rename: Callable[[str], str | None], depth: str
) -> list[Pair]:
    """Pair each tensor of a network with the tensor of the base that it is initialised from.

    Args:
        base: the tensors of the base.
        ours: the tensors of the network.
        rename: returns the name in the base, before blocks are renumbered, of a tensor; None for none.
        depth: `repeat` to initialise added blocks from those of the base, or `new`.
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
    """Return the features by which blocks are compared: a tensor's shape and the attributes of its layer."""
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
    """Mapping of block numbers from the network to its base."""

    def __init__(self, there: _Rows, here: _Rows, depth: str) -> None:
        self.there = there
        self.here = here
        self.depth = depth
        self.row = cache(self._row)

    def renumbered(self, name: str) -> tuple[str | None, str]:
        """Return a name with the block numbers of the base, and the block that it repeats, if any.

        If the base has no block for it, return None and the row.
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
        """Return the base's number of each block in a row (-1 for none), and True if an earlier block has it, too."""
        before, row = self.there.blocks.get(theirs, {}), self.here.blocks[ours]
        if not before or before.keys() == row.keys():
            return {}
        numbers: dict[int, tuple[int, bool]] = {}
        taken: set[int] = set()
        for number, block in sorted(row.items()):
            best = max(before, key=lambda k, n=number, b=block: (_likeness(b, before[k]), k == n, k))
            again = best in taken
            numbers[number] = (-1 if again and self.depth != REPEAT else best, again)
            taken.add(best)
        return numbers


def _likeness(one: Mapping[str, Form], other: Mapping[str, Form]) -> int:
    return sum(len(one[name] & other.get(name, frozenset())) for name in one)
