"""Correspondence between the tensors of a variant and of its base: by name, by a weight map, or by place.

Repeated blocks are numbered. If the number of blocks differs from the base's, each block is initialised from the most
similar block, preferably that of the same number: the last block of an MViT stage is wider, and every other block of
Swin has shifted windows. Where a variant changed what stands around a row, blocks are named by their order (`places`);
layers whose names changed are found by their form (`moved`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from archdsl.transfer.branches import Parts, bases_of, parts_of
from archdsl.transfer.channels import REPEAT
from archdsl.transfer.moved import moved
from archdsl.transfer.places import INDEX, Form, form, full_name, names_by_order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from archdsl.transfer.places import Place


@dataclass(frozen=True)
class Pair:
    """A tensor of the variant, and its origin in the base, or the reason why it has none."""

    name: str
    base: str = ""  # the first one, if it consists of parts
    reason: str = ""
    repeats: str = ""  # the block of the base that initialises this block and an earlier one
    is_missing: bool = False  # the base has no tensor of the name that it should have
    parts: Parts = ()

    @property
    def bases(self) -> tuple[str, ...]:
        """The names of its origins in the base."""
        return bases_of(self.base, self.parts)


@dataclass
class _Rows:
    """Repeated blocks, by name prefix and number: the form of each tensor, by the part of its name after the number."""

    blocks: dict[str, dict[int, dict[str, Form]]] = field(default_factory=dict[str, dict[int, dict[str, Form]]])

    def add(self, name: str, form: Form) -> None:
        for match in INDEX.finditer(name):
            row = self.blocks.setdefault(name[: match.start()], {})
            row.setdefault(int(match[0]), {})[name[match.end() :]] = form

    def length(self, prefix: str) -> int:
        return max(self.blocks.get(prefix, {-1: {}})) + 1


def pairs(
    base: Mapping[str, Place],
    ours: Mapping[str, Place],
    rename: Callable[[str], str | None],
    depth: str,
    whose: str,
) -> list[Pair]:
    """Pair each tensor of a network with its origin in the base.

    Args:
        base: the tensors of the base.
        ours: the tensors of the network.
        rename: maps the name of a tensor to its name in the base, block numbers unchanged; None if it has no origin.
        depth: `repeat` to initialise added blocks from those of the base, or `new`.
        whose: the name of the base in the reasons.
    """
    before, after = names_by_order(base, ours)
    names = {name: after[name] if (other := rename(name)) == name else other for name in ours}
    base_rows, rows = _Rows(), _Rows()
    for name, place in base.items():
        base_rows.add(before[name], form(place))
    for name, other in names.items():
        if other is not None:
            rows.add(other, form(ours[name]))
    numbers = _BlockNumbers(base_rows, rows, depth, whose)
    origins = {before[name]: place for name, place in base.items()}
    found = [_pair(name, ours[name], other, origins, numbers) for name, other in names.items()]
    instead = moved({p.name: p.base for p in found if names[p.name] is not None and not p.repeats}, base, ours)
    return [_moved(pair, instead, base, whose) if pair.name in instead else pair for pair in found]


def _pair(name: str, place: Place, other: str | None, origins: Mapping[str, Place], numbers: _BlockNumbers) -> Pair:
    if other is None:
        return Pair(name, reason=f"{numbers.whose}'s tensor of this name initialises another one")
    origin, repeats = numbers.renumbered(other)
    if origin is None:
        return Pair(name, reason=repeats)
    parts = () if origin in origins else parts_of(place, origin, origins)
    first = bases_of(origin, parts)[0]
    if first not in origins:
        return Pair(name, is_missing=True)
    actual = full_name(origins[first])
    block = repeats and actual[: len(actual) - len(first) + len(repeats)]
    parts = tuple(part and part._replace(base=full_name(origins[part.base])) for part in parts)
    return Pair(name, actual, repeats=block, parts=parts)


def _moved(pair: Pair, instead: Mapping[str, str], base: Mapping[str, Place], whose: str) -> Pair:
    """Return the pair of a tensor with another origin than that of its name."""
    origin = instead[pair.name]
    if origin:
        return Pair(pair.name, origin)
    user = next(name for name, other in instead.items() if other == pair.base)
    return Pair(pair.name, reason=f"{whose}'s `{base[pair.base].node.label}` initialises `{user.split('.')[-2]}`")


class _BlockNumbers:
    """Mapping of block numbers from the network to its base."""

    def __init__(self, base_rows: _Rows, rows: _Rows, depth: str, whose: str) -> None:
        self.base_rows = base_rows
        self.rows = rows
        self.depth = depth
        self.whose = whose  # the name of the base in the reasons
        self.row = cache(self._row)

    def renumbered(self, name: str) -> tuple[str | None, str]:
        """Return a name with the block numbers of the base, and the name of the block that is repeated, if any.

        If the base has no such block, return None and the reason.
        """
        prefix, rest, repeats = "", name, ""
        at = 0
        for match in INDEX.finditer(name):
            prefix += name[at : match.start()]
            number, again = self.row(prefix, name[: match.start()]).get(int(match[0]), (int(match[0]), False))
            if number < 0:
                row, length = prefix.rstrip("."), self.base_rows.length(prefix)
                return (
                    None,
                    f"{self.whose} has only {length} blocks in `{row}`"
                    if again
                    else f"{self.whose} has no such block in `{row}`",
                )
            repeats = f"{prefix}{number}" if again else repeats
            prefix += str(number)
            at = match.end()
        rest = name[at:]
        return prefix + rest, repeats

    def _row(self, theirs: str, ours: str) -> dict[int, tuple[int, bool]]:
        """Return the block number in the base (-1 for none) by ours, and True if an earlier block has the same.

        Blocks of another kind in a row, such as adapters, are passed over as blocks are counted.
        """
        before, row = self.base_rows.blocks.get(theirs, {}), self.rows.blocks[ours]
        if not before or before.keys() == row.keys():
            return {}
        numbers: dict[int, tuple[int, bool]] = {}
        uses: Counter[int] = Counter()
        for number, block in sorted(row.items()):
            alike = [k for k in sorted(before) if _are_alike(block, before[k])]
            nth = sum(uses[k] for k in alike)
            same = alike[nth] if nth < len(alike) else -1
            best = max(alike, key=lambda k, n=same, b=block: (_similarity(b, before[k]), k == n, k), default=-1)
            again = uses[best] > 0
            numbers[number] = (-1 if again and self.depth != REPEAT else best, again)
            uses[best] += best >= 0
        return numbers


def _are_alike(one: Mapping[str, Form], other: Mapping[str, Form]) -> bool:
    """Return True if two blocks have most of their tensors in common: the first of a stage has a shortcut more."""
    return 2 * len(one.keys() & other.keys()) >= max(len(one), len(other))


def _similarity(one: Mapping[str, Form], other: Mapping[str, Form]) -> int:
    return sum(len(one[name] & other.get(name, frozenset())) for name in one)
