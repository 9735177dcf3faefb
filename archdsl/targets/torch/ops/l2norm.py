from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.l2norm import L2Norm
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, CHANNELS_LAST, TOKENS
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep


@op("l2norm")
class L2NormOp(Op[L2Norm]):
    layouts = ANY_LAYOUT

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        norms = step.element_size * (self.output.positions + self.output.token_count)
        return SavedForBackward(inputs=True, own=2 * norms)  # before and after the comparison with 1e-12

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT if precision.cuda else max(sizes)  # autocast's list for GPUs has the Euclidean norm

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"axis": -1 if site.layout in (CHANNELS_LAST, TOKENS) else 1}
