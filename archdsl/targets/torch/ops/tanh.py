from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.tanh import Tanh
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import TrainingStep


@op("tanh")
class TanhOp(Op[Tanh]):
    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward(output=True)
