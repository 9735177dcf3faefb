"""Reasons why tensors of two networks were not paired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.ir.regions import Head
from archdsl.weights.shapes import shape_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from archdsl.transfer.places import Place


def reasons(
    names: Collection[str], places: Mapping[str, Place], left: Collection[str], others: Mapping[str, Place], whose: str
) -> dict[str, str]:
    """Return the reason, for each of some tensors, why the other network has no partner for it.

    Args:
        names: the tensors.
        places: all tensors of their network.
        left: the tensors of the other network without a partner.
        others: all tensors of the other network.
        whose: the name of the other network in the text.
    """
    parts = {_part(place) for place in others.values()}
    candidates: dict[tuple[str, str, str], str] = {}
    for name in left:
        candidates.setdefault(_kind(others[name]), name)
    found: dict[str, str] = {}
    for name in names:
        part, kind, _ = key = _kind(places[name])
        if part not in parts:
            found[name] = f"{whose} has no `{part}`"
        elif key not in candidates:
            found[name] = f"{whose} has no other `{kind}` in `{part}`"
        else:
            other = candidates[key]
            shape = shape_text(others[other].shape)
            found[name] = f"shape differs from {whose}'s `{other}` ({shape}), which is not used"
    return found


def _part(place: Place) -> str:
    return place.node.region.top.name


def _kind(place: Place) -> tuple[str, str, str]:
    return _part(place), place.node.layer.kind, place.name


def are_pairable(
    names: Collection[str], places: Mapping[str, Place], left: Collection[str], others: Mapping[str, Place]
) -> bool:
    """Return True if both networks have tensors of one kind left in one part, which their author may want to pair.

    Those of the head do not count: another head is new on purpose.
    """
    ours = {_kind(places[n]) for n in names if not isinstance(places[n].node.region.top, Head)}
    return not ours.isdisjoint(_kind(others[n]) for n in left)
