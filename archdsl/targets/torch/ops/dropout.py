from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.dropout import Dropout
from archdsl.targets.torch.ops.base import Op, RateArgument, op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import TrainingStep


@op("dropout")
class DropoutOp(Op[Dropout]):
    rate_argument = RateArgument("dropout", "nn.Dropout", "`dropout` is the rate of every dropout layer.")

    @property
    def is_view(self) -> bool:
        return self.layer.p == 0.0

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        if self.layer.p == 0.0:
            return SavedForBackward()
        # The factor of each element; on a GPU, whether it stays.
        return SavedForBackward(own=(1 if step.precision.cuda else step.element_size) * self.output.elements)
