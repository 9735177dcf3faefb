from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.targets.torch.ops.add import AddOp
from archdsl.targets.torch.ops.base import op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import TrainingStep


@op("multiply")
class MultiplyOp(AddOp):
    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        products = len(self.inputs) - 2  # those that are multiplied further
        return SavedForBackward(inputs=True, own=max(products, 0) * step.element_size * self.output.elements)
