from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.hardsigmoid import SLOPE, HardSigmoid
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("hardsigmoid")
class HardSigmoidOp(Op[HardSigmoid]):
    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        if self.layer.slope == SLOPE:
            return SavedForBackward(inputs=True)
        return SavedForBackward(own=step.element_size * self.output.elements)  # the line, which is then cut

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"slope": None if self.layer.slope == SLOPE else self.layer.slope}
