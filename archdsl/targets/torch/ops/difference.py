from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.difference import ZERO, Difference
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("difference")
class DifferenceOp(Op[Difference]):
    layouts = (GRID, CHANNELS_LAST)

    def output_is_free(self, *, trains: bool) -> bool:
        return True

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward()

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer, last = self.layer, site.layout == CHANNELS_LAST
        return {"distance": layer.distance, "pads": layer.ends == ZERO, "last": last}
