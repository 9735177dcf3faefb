from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.blend import Blend
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, GRID
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("blend")
class BlendOp(Op[Blend]):
    torch_class = "Blend"
    layouts = ANY_LAYOUT
    has_own_vectors = True

    def output_is_free(self, *, trains: bool) -> bool:
        return True

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward(inputs=True, once=2 * FLOAT * self.output.channels)  # σ(w) and 1 − σ(w)

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"channels": site.output.channels, "grid": site.layout == GRID}
