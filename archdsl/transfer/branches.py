"""Projections of queries, keys and values: rows of one tensor in one network, tensors of their own in another."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from archdsl.layers.axes import Inner
from archdsl.transfer.places import Place, axes_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class Part(NamedTuple):
    """One of `of` equal parts, along the first axis, of a tensor of the base."""

    base: str
    number: int
    of: int


Parts = tuple[Part | None, ...]  # for each branch of a tensor; None for zeros


def bases_of(base: str, parts: Parts) -> tuple[str, ...]:
    """Return the names of the tensors that parts are of; `base` if there are no parts."""
    return tuple(dict.fromkeys(part.base for part in parts if part)) or (base,)


def parts_of(place: Place, origin: str, base: Mapping[str, Place]) -> Parts:
    """Return the parts of the base's tensors that a tensor consists of, one for each of its branches; none if unknown.

    The bias of a branch that has none in the base is zero.

    Args:
        place: a tensor of ours that the base lacks.
        origin: the name that it should have in the base.
        base: the tensors of the base.
    """
    branches = _branches(place)
    if not branches or not origin.endswith(place.name):
        return ()
    prefix, behind = origin.removesuffix(place.name), place.name.removeprefix(branches)
    parts = tuple(_part(letter, prefix, behind, base) for letter in branches)
    is_bias = len(place.shape) == 1
    return parts if all(parts) or (any(parts) and is_bias) else ()


def _part(letter: str, prefix: str, behind: str, base: Mapping[str, Place]) -> Part | None:
    for count in (1, 2, 3):
        for letters in map("".join, combinations("qkv", count)):
            name = f"{prefix}{letters}{behind}"
            if letter in letters and name in base and _branches(base[name]) == letters:
                return Part(name, letters.index(letter), count)
    return None


def _branches(place: Place) -> str:
    inner = _inner(place)
    return inner.branches if inner else ""


def _inner(place: Place) -> Inner | None:
    """Return the meaning of a tensor's first axis, if it has inner channels."""
    axes = axes_of(place)
    return axes[0] if axes and isinstance(axes[0], Inner) else None


def joined(here: Place, parts: Parts, base: Mapping[str, Place]) -> Place | str:
    """Return the tensor that parts of the base's tensors make, or the reason why they make none."""
    found = [(base[part.base], part.of) for part in parts if part]
    place, of = found[0]
    rows = [tensor.shape[0] // count for tensor, count in found]
    inner = _inner(place)
    if len({*rows}) > 1 or inner is None:
        known = (letter for letter, part in zip(_branches(here), parts, strict=True) if part)
        return (
            f"rows of the base are not joined: {', '.join(f'{n} of `{x}`' for x, n in zip(known, rows, strict=True))}"
        )
    shape = (place.shape[0] // of * len(parts), *place.shape[1:])
    first = Inner(len(parts), inner.heads, _branches(here), inner.queries)
    return Place(place.node, place.name, shape, (first, *(axes_of(place) or ())[1:]))


def parts_text(here: Place, parts: Parts) -> str:
    """Return what a tensor consists of, for messages."""
    letters = _branches(here)
    rows = ", ".join(f"`{x}`" for x, part in zip(letters, parts, strict=True) if part)
    zeros = ", ".join(f"`{x}`" for x, part in zip(letters, parts, strict=True) if not part)
    return f"rows of {rows}" + f"; zeros for {zeros}" * bool(zeros)
