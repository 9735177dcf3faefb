from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.restore import Restore
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.keep import INDEX
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep


@op("restore")
class RestoreOp(Op[Restore]):
    torch_class = "Restore"
    layouts = (CHANNELS_LAST,)
    puts_channels_last = True

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward(own=INDEX * int(self.inputs[0].w))

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return sizes[0]  # that of the visible positions, not of the mask

    def shape_arguments(self) -> dict[str, Any]:
        return {"grid": tuple(map(int, self.output.size))}

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"channels": site.inputs[0].channels}
