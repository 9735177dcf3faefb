from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.latents import Latents
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, CHANNELS_LAST

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("latents")
class LatentsOp(Op[Latents]):
    torch_class = "Latents"
    layouts = ANY_LAYOUT  # it reads the number of clips alone
    puts_channels_last = True
    saves_inputs = False
    has_own_vectors = True

    def output_layout(self, layout: str) -> str:
        return CHANNELS_LAST

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"n": self.layer.n, "channels": site.output.channels}
