from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.layernorm import LayerNorm
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS, VECTOR
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep


@op("layernorm")
class LayerNormOp(Op[LayerNorm]):
    imports = ("from torch.nn import functional as F",)
    torch_class = "nn.LayerNorm"
    layouts = (CHANNELS_LAST, TOKENS, VECTOR)

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        x = self.output
        statistics = 2 * FLOAT * (x.positions + x.token_count)  # mean and deviation
        scale = FLOAT * int(x.channels) if self.layer.zero_centred else 0  # 1 + weight
        if step.casts:
            return SavedForBackward(own=statistics + step.element_size * x.elements, once=scale)
        return SavedForBackward(inputs=True, own=statistics, once=scale)

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT if precision.cuda else max(sizes)  # autocast's list for CPUs does not have it

    def variables(self, site: CallSite) -> dict[str, Any]:
        eps = None if self.layer.eps == 1e-5 else self.layer.eps
        return {"channels": site.inputs[0].channels, "eps": eps, "zero_centred": self.layer.zero_centred}
