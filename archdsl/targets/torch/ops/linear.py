from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.linear import Linear
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS, VECTOR
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import TrainingStep


@op("linear")
class LinearOp(Op[Linear]):
    torch_class = "nn.Linear"
    layouts = (VECTOR, CHANNELS_LAST, TOKENS)

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        if not step.trains:
            return SavedForBackward()
        if step.channels_last and not step.casts and not step.sliced:
            return SavedForBackward(inputs=True)
        return SavedForBackward(own=step.element_size * self.inputs[0].elements)  # a copy
