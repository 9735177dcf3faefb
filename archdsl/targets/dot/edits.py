"""Edits of a network, and what only follows from them: layers whose shapes, tensors or costs differ, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.changes import CHANGED, GONE, NEW

if TYPE_CHECKING:
    from archdsl.analysis.compare import Difference, Entry, LayerForm

FOLLOWS = "follows"  # changed only because of other layers


def statuses_of(difference: Difference) -> dict[str, str]:
    """Return the mark of each layer by its name: a changed one that was not edited itself `follows`."""
    both = {e.name for e in difference.layers if e.status not in (NEW, GONE)}
    known = {name.rsplit(".", k)[0] for name in both for k in range(name.count(".") + 1)}
    return {e.name: FOLLOWS if e.status == CHANGED and not _edited(e, known) else e.status for e in difference.layers}


def _edited(entry: Entry[LayerForm], known: set[str]) -> bool:
    """Return True if a layer differs in itself, or reads another value of those that both networks have."""
    one, other = entry.base, entry.arch
    if one is None or other is None or not (one.inputs and other.inputs):
        return True
    frozen = [(side.frozen, side.frozen_members) for side in (one, other)]
    if (one.kind, one.attributes) != (other.kind, other.attributes) or frozen[0] != frozen[1]:
        return True
    return one.inputs != other.inputs and known.issuperset((*one.inputs, *other.inputs))
