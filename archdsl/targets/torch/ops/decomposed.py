from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from archdsl.layers.decomposed import Decomposed
from archdsl.targets.torch.ops.base import op
from archdsl.targets.torch.ops.bias import BiasOp
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep

DISTANCES = "distances"  # the form that gives further channels of queries, for those of keys that mark their places


@op("decomposed")
class DecomposedOp(BiasOp[Decomposed]):
    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"over": self.layer.geometry.axes, "distances": DISTANCES in self.forms}

    def other_forms(self) -> frozenset[str]:
        return frozenset({DISTANCES})

    def shape_arguments(self) -> dict[str, Any]:
        found = self.layer.geometry
        tables = {"tables": self.layer.rows} if self.layer.is_stretched else {}
        return {"queries": found.queries, "keys": found.keys, **tables}

    def submodule_classes(self) -> dict[str, str]:
        return {"": "RelativePositions"}

    def class_signature(self) -> tuple[Any, ...]:
        return self.layer.geometry.axes, self.layer.is_stretched

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        """Return the queries and the rows of the tables, once for each axis."""
        found = self.layer.geometry
        ends = [(q, k) for a, q, k in zip("thw", found.queries, found.keys, strict=True) if a in found.axes]
        queries = found.frames * found.groups * prod(found.queries) * int(found.heads) * found.width
        once = sum(q * k * found.width for q, k in ends)
        own = len(ends) * queries if step.trains else 0
        return SavedForBackward(own=own * step.element_size, once=once * step.element_size)
