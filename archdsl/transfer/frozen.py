"""Warnings of frozen stages with tensors that no weights initialise."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archdsl.core.report import Reporter
from archdsl.ir.regions import Lateral, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.transfer.places import Place

_HINT = "train the stage, without `frozen`, or keep the layers of the base in it"


def frozen_at_random(places: Mapping[str, Place], new: Iterable[str]) -> list[Diagnostic]:
    """Return a warning for each frozen stage or lateral that has weights without an origin.

    Args:
        places: all tensors of the network.
        new: those that are new, wholly or in part; buffers do not count.
    """
    counts: Counter[Stage | Lateral] = Counter()
    for name in new:
        node, part = places[name].node, places[name].node.region.top
        if isinstance(part, Stage | Lateral) and part.frozen:
            counts[part] += places[name].name in node.layer.weights(*node.input_shapes)
    reporter = Reporter()
    for part, count in counts.items():
        text = f"{count} of its tensors are new: they stay" if count > 1 else "one of its tensors is new: it stays"
        if count:
            reporter.report("W0805", part.span, f"`{part.name}` is frozen, but {text} random", hint=_HINT)
    return reporter.diagnostics
