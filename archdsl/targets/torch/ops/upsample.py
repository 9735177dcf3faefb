from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.upsample import LINEAR, Upsample
from archdsl.targets.torch.ops.base import Op, compact, op
from archdsl.targets.torch.ops.sites import FLOAT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision


@op("upsample")
class UpsampleOp(Op[Upsample]):
    saves_inputs = False

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT if precision.half else max(sizes)  # on autocast's lists

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer = self.layer
        return {
            "factor": compact(layer.factor),
            "size": compact(layer.size) if layer.has_size else None,
            "linear": layer.mode == LINEAR,
        }
