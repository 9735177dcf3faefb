from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.every import Every
from archdsl.targets.torch.ops.base import Op, op

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("every")
class EveryOp(Op[Every]):
    saves_inputs = False

    @property
    def is_view(self) -> bool:
        return self.layer.rule == "stride"

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"n": self.layer.n, "spread": self.layer.rule == "spread"}
