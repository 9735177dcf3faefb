from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.bn import BatchNorm
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("bn")
class BatchNormOp(Op[BatchNorm]):
    torch_class = "nn.BatchNorm3d"

    def output_is_free(self, *, trains: bool) -> bool:
        return True

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        statistics = 2 * FLOAT * self.output.channels if step.trains else 0  # mean and deviation of the batch
        return SavedForBackward(inputs=True, once=statistics)

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {
            "channels": site.inputs[0].channels,
            "eps": None if self.layer.eps == 1e-5 else self.layer.eps,
            "momentum": None if self.layer.momentum == 0.1 else self.layer.momentum,
        }
