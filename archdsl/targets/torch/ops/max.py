from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.targets.torch.ops.base import op
from archdsl.targets.torch.ops.multiply import MultiplyOp

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import SavedForBackward, TrainingStep


@op("max")
class MaxOp(MultiplyOp):
    """Saves what a product of values that all take gradients does: its backward pass compares two at a time."""

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return super().saved_for_backward(step._replace(gradients=()))
