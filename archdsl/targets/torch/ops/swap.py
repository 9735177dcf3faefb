from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.swap import Swap
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("swap")
class SwapOp(Op[Swap]):
    imports = ("from einops import rearrange",)
    layouts = (GRID, CHANNELS_LAST)
    keeps_order = False

    @property
    def is_view(self) -> bool:
        return True

    def variables(self, site: CallSite) -> dict[str, Any]:
        rows = int(self.layer.rows)
        return {"last": site.layout == CHANNELS_LAST, "space": self.layer.over == "space", "rows": rows}
