from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.softmax import CHANNELS, SPACE_TIME, TIME, Softmax
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, CHANNELS_LAST, GRID, TOKENS
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep


@op("softmax")
class SoftmaxOp(Op[Softmax]):
    layouts = (GRID, CHANNELS_LAST)
    keeps_order = False

    @property
    def accepted_layouts(self) -> tuple[str, ...]:
        return ANY_LAYOUT if self.layer.over == CHANNELS else self.layouts

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward(output=True)

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT if precision.cuda else max(sizes)  # autocast's list for GPUs has it

    def variables(self, site: CallSite) -> dict[str, Any]:
        if self.layer.over == CHANNELS:
            return {"first": -1 if site.layout in (CHANNELS_LAST, TOKENS) else 1, "last": None}
        time = 1 if site.layout == CHANNELS_LAST else 2
        first = time if self.layer.over in (TIME, SPACE_TIME) else time + 1
        return {"first": first, "last": None if self.layer.over == TIME else time + 2}
