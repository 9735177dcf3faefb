from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.gelu import GELU
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import TrainingStep


@op("gelu")
class GELUOp(Op[GELU]):
    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        sigmoid = step.element_size * self.output.elements if self.layer.quick else 0
        return SavedForBackward(inputs=True, own=sigmoid)
