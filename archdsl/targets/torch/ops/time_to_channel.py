from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.time_to_channel import TimeToChannel
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import TrainingStep


@op("time_to_channel")
class TimeToChannelOp(Op[TimeToChannel]):
    imports = ("from einops import rearrange",)
    keeps_order = False

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward()
