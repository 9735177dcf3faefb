"""Correspondence between the tensors of a variant and of its base: by name, by a weight map, or by similar blocks.

Repeated blocks are numbered. If the number of blocks differs from the base's, each block is initialised from the most
similar block, preferably that of the same number: the last block of an MViT stage is wider, and every other block of
Swin has shifted windows.
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
    """A tensor of the variant, and its origin in the base, or the reason why it has none."""

    name: str
    base: str = ""
    reason: str = ""
    repeats: str = ""  # the block of the base that initialises this block and an earlier one


@dataclass
class _Rows:
    """Repeated blocks, by name prefix and number: the form of each tensor, by the part of its name after the number."""

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
    """Pair each tensor of a network with its origin in the base.

    Args:
        base: the tensors of the base.
        ours: the tensors of the network.
        rename: maps the name of a tensor to its name in the base, block numbers unchanged; None if it has no origin.
        depth: `repeat` to initialise added blocks from those of the base, or `new`.
    """
    names = {name: rename(name) for name in ours}
    base_rows, rows = _Rows(), _Rows()
    for name, place in base.items():
        base_rows.add(name, _form(place))
    for name, other in names.items():
        if other is not None:
            rows.add(other, _form(ours[name]))
    numbers = _BlockNumbers(base_rows, rows, depth)
    return [_pair(name, other, base, numbers) for name, other in names.items()]


def _form(place: Place) -> Form:
    """Return a tensor's features for the comparison of blocks: its shape, and the attributes of its layer."""
    values = plain_values(place.node.layer)
    return frozenset({("", str(place.shape)), *((k, repr(v)) for k, v in values.items())})


def _pair(name: str, other: str | None, base: Mapping[str, Place], numbers: _BlockNumbers) -> Pair:
    if other is None:
        return Pair(name, reason="BASE's tensor of this name initialises another one")
    origin, repeats = numbers.renumbered(other)
    if origin is None:
        length = numbers.base_rows.length(repeats)
        return Pair(name, reason=f"BASE has only {length} blocks in `{repeats.rstrip('.')}`")
    if origin not in base:
        return Pair(name, reason="BASE has no tensor of this name" if origin == name else f"BASE has no `{origin}`")
    return Pair(name, origin, repeats=repeats)


class _BlockNumbers:
    """Mapping of block numbers from the network to its base."""

    def __init__(self, base_rows: _Rows, rows: _Rows, depth: str) -> None:
        self.base_rows = base_rows
        self.rows = rows
        self.depth = depth
        self.row = cache(self._row)

    def renumbered(self, name: str) -> tuple[str | None, str]:
        """Return a name with the block numbers of the base, and the name of the block that is repeated, if any.

        If the base has no such block, return None and the prefix of the row.
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
        """Return the block number in the base (-1 for none) by ours, and True if an earlier block has the same."""
        before, row = self.base_rows.blocks.get(theirs, {}), self.rows.blocks[ours]
        if not before or before.keys() == row.keys():
            return {}
        numbers: dict[int, tuple[int, bool]] = {}
        taken: set[int] = set()
        for number, block in sorted(row.items()):
            best = max(before, key=lambda k, n=number, b=block: (_similarity(b, before[k]), k == n, k))
            again = best in taken
            numbers[number] = (-1 if again and self.depth != REPEAT else best, again)
            taken.add(best)
        return numbers


def _similarity(one: Mapping[str, Form], other: Mapping[str, Form]) -> int:
    return sum(len(one[name] & other.get(name, frozenset())) for name in one)
