from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.latents import Latents
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, CHANNELS_LAST
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep


@op("latents")
class LatentsOp(Op[Latents]):
    torch_class = "Latents"
    layouts = ANY_LAYOUT  # it reads the number of clips alone
    puts_channels_last = True

    def output_layout(self, layout: str) -> str:
        return CHANNELS_LAST

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward()

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT  # that of its own vectors

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"n": self.layer.n, "channels": site.output.channels}
