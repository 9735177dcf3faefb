from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.every import Every
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("every")
class EveryOp(Op[Every]):
    @property
    def is_view(self) -> bool:
        return self.layer.rule == "stride"

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward()

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"n": self.layer.n, "spread": self.layer.rule == "spread"}
