"""Warnings of frozen stages and layers with tensors that no weights initialise."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archdsl.core.report import Reporter
from archdsl.ir.regions import Lateral, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.core.source import Span
    from archdsl.transfer.places import Place

_HINT = "train the stage, without `frozen`, or keep the layers of the base in it"
_HINT_OF_LAYERS = "train what is new, without `frozen`, or keep the layers of the base"


def frozen_at_random(places: Mapping[str, Place], new: Iterable[str]) -> list[Diagnostic]:
    """Return a warning for each frozen stage or lateral, and each frozen layer, that has weights without an origin.

    Args:
        places: all tensors of the network.
        new: those that are new, wholly or in part; buffers do not count.
    """
    counts: Counter[Stage | Lateral] = Counter()
    layers: Counter[Span] = Counter()  # of chains, by the places that several copies share
    names: dict[Span, str] = {}
    for name in new:
        node, part = places[name].node, places[name].node.region.top
        if isinstance(part, Stage | Lateral) and part.frozen:
            counts[part] += places[name].name in node.layer.weights(*node.input_shapes)
        elif places[name].name in node.frozen_weights:
            layers[node.span] += 1
            names.setdefault(node.span, node.name)
    reporter = Reporter()
    found = [(part.span, part.name, count, _HINT) for part, count in counts.items()]
    found += [(span, names[span], count, _HINT_OF_LAYERS) for span, count in layers.items()]
    for span, name, count, hint in found:
        text = f"{count} of its tensors are new: they stay" if count > 1 else "one of its tensors is new: it stays"
        if count:
            reporter.report("W0805", span, f"`{name}` is frozen, but {text} random", hint=hint)
    return reporter.diagnostics
