from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.targets.torch.ops.add import AddOp
from archdsl.targets.torch.ops.base import op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.core.grid import Grid
    from archdsl.targets.torch.ops.sites import TrainingStep


@op("multiply")
class MultiplyOp(AddOp):
    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        """Return the factors of values that take gradients, among them the products that are multiplied further."""
        number = len(self.inputs)
        takes = [step.takes(i) for i in range(number)]
        factors = any(takes[1:2]), *(any(takes[:i]) for i in range(1, number))
        between = sum(self._product(i).elements for i in range(2, number) if takes[i])
        return SavedForBackward(inputs=factors, own=step.element_size * between)

    def _product(self, number: int) -> Grid:
        return self.layer.infer(*self.inputs[:number])
