from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.mean import Mean
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import TrainingStep


@op("mean")
class MeanOp(Op[Mean]):
    def class_signature(self) -> tuple[Any, ...]:
        return tuple(x.tokens.number for x in self.inputs)

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward()
