from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.targets.torch.ops.add import AddOp
from archdsl.targets.torch.ops.base import op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import TrainingStep


@op("multiply")
class MultiplyOp(AddOp):
    @property
    def elements_between(self) -> int:
        """Elements of the products that are multiplied further."""
        return sum(self.layer.infer(*self.inputs[:n]).elements for n in range(2, len(self.inputs)))

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward(inputs=True, own=step.element_size * self.elements_between)
