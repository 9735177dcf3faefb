from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.relu import ReLU
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("relu")
class ReLUOp(Op[ReLU]):
    overwrites = True

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward(output=True)

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"inplace": site.inplace}
