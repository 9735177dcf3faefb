from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.groupnorm import GroupNorm
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import GRID, VECTOR
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep


@op("groupnorm")
class GroupNormOp(Op[GroupNorm]):
    """Takes channels first in memory: the backward pass of torch 2.13 crashes for channels-last values on a CPU.

    It does so if these need no gradient, as behind a frozen stage. On GPUs its kernel makes the same copy.
    """

    torch_class = "nn.GroupNorm"
    layouts = (GRID, VECTOR)
    keeps_order = False

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        statistics = 2 * FLOAT * self.layer.groups  # mean and deviation
        if step.casts or (step.channels_last and self.output.positions > 1):
            return SavedForBackward(own=statistics + step.element_size * self.output.elements)
        return SavedForBackward(inputs=True, own=statistics)

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT if precision.cuda else max(sizes)  # autocast's list for CPUs does not have it

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {
            "groups": self.layer.groups,
            "vector": site.layout == VECTOR,
            "channels": site.inputs[0].channels,
            "eps": None if self.layer.eps == 1e-5 else self.layer.eps,
        }
