from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.rmsnorm import EPSILON, RMSNorm
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS, VECTOR
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep


@op("rmsnorm")
class RMSNormOp(Op[RMSNorm]):
    torch_class = "nn.RMSNorm"
    layouts = (CHANNELS_LAST, TOKENS, VECTOR)

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        x = self.output
        own = FLOAT * (x.positions + x.token_count)  # 1 / √(mean(x²) + ε)
        if not step.precision.cuda and step.trains:  # not fused: the normalised input is a tensor, in float32
            own += FLOAT * x.elements
            if not step.takes(0):
                return SavedForBackward(own=FLOAT * x.elements)
        copied = step.casts or step.element_size < FLOAT
        return SavedForBackward(own=own + FLOAT * x.elements) if copied else SavedForBackward(inputs=True, own=own)

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT if precision.cuda else max(sizes)  # autocast's list for CPUs does not have it

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"channels": site.inputs[0].channels, "eps": None if self.layer.eps == EPSILON else self.layer.eps}
