from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.drop_path import DropPath
from archdsl.targets.torch.ops.base import Op, RateArgument, op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import TrainingStep


@op("drop_path")
class DropPathOp(Op[DropPath]):
    rate_argument = RateArgument("drop_path", "DropPath", "`drop_path=False` turns stochastic depth off.", switch=True)

    @property
    def is_view(self) -> bool:
        return self.layer.p == 0.0

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward(own=int(self.layer.p > 0))  # whether the clip has its branch
