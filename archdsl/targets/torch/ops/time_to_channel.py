from __future__ import annotations

from archdsl.layers.time_to_channel import TimeToChannel
from archdsl.targets.torch.ops.base import Op, op


@op("time_to_channel")
class TimeToChannelOp(Op[TimeToChannel]):
    imports = ("from einops import rearrange",)
    keeps_order = False
    saves_inputs = False
