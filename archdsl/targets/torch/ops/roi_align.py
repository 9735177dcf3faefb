from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.roi_align import RoIAlign
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("roi_align")
class RoIAlignOp(Op[RoIAlign]):
    """Equal to torchvision's `roi_align`, whose `spatial_scale` is 1 over the `stride`."""

    @property
    def is_heavy(self) -> bool:
        return True  # its products

    def class_signature(self) -> tuple[Any, ...]:
        return self.layer.sampling_ratio > 0, self.layer.aligned, self.layer.stride > 0

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        x, y = self.inputs[0], self.output
        weights = FLOAT * int(y.t * self.layer.size * (x.h + x.w))
        return SavedForBackward(own=weights)

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer = self.layer
        return {
            "size": layer.size,
            "ratio": layer.sampling_ratio or None,
            "aligned": layer.aligned,
            "stride": layer.stride or None,
        }
