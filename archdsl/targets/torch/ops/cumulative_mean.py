from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.cumulative_mean import CumulativeMean
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep

INT64 = 8  # bytes


@op("cumulative_mean")
class CumulativeMeanOp(Op[CumulativeMean]):
    layouts = (GRID, CHANNELS_LAST)
    keeps_order = False  # `cumsum`

    def output_is_free(self, *, trains: bool) -> bool:
        return True

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward(once=INT64 * self.output.t)  # the divisors

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT if precision.cuda else max(sizes)  # autocast's list for GPUs has `cumsum`

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"last": site.layout == CHANNELS_LAST}
