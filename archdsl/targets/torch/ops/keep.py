from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.keep import HIDDEN, Keep
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep

INDEX = 8  # bytes of a place


@op("keep")
class KeepOp(Op[Keep]):
    layouts = (CHANNELS_LAST,)
    puts_channels_last = True

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward(own=INDEX * int(self.layer.n + 1))  # of positions and of their clip

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return sizes[0]  # that of the positions, not of the mask

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"n": self.layer.n, "hidden": self.layer.which == HIDDEN}
