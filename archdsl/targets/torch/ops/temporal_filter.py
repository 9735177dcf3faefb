from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.temporal_filter import TemporalFilter
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("temporal_filter")
class TemporalFilterOp(Op[TemporalFilter]):
    """A sum of products that are moved by padding, which keeps its inputs alone and their order in memory."""

    layouts = (GRID, CHANNELS_LAST)

    def class_signature(self) -> tuple[Any, ...]:
        return (int(self.inputs[1].t),)

    def output_is_free(self, *, trains: bool) -> bool:
        return True

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward(inputs=(step.takes(1), step.takes(0)))

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"taps": int(self.inputs[1].t), "last": site.layout == CHANNELS_LAST}
