from __future__ import annotations

from archdsl.layers.base import Layer
from archdsl.targets.torch.ops.base import Op, op


class ChannelsLast(Layer):
    """Conversion of a clip to the channels-last memory format, inserted by the pass of the same name."""

    kind, category, internal = "channels_last", "layout", True


@op("channels_last")
class ChannelsLastOp(Op[ChannelsLast]):
    puts_channels_last = True
    saves_inputs = False
