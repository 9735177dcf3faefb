from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.difference import ZERO, Difference
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("difference")
class DifferenceOp(Op[Difference]):
    layouts = (GRID, CHANNELS_LAST)
    saves_inputs = False

    def output_is_free(self, *, trains: bool) -> bool:
        return True

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer, last = self.layer, site.layout == CHANNELS_LAST
        return {"distance": layer.distance, "pads": layer.ends == ZERO, "last": last}
