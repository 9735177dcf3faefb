from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.select import Select
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS, VECTOR
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("select")
class SelectOp(Op[Select]):
    layouts = (TOKENS,)

    def output_layout(self, layout: str) -> str:
        return VECTOR if self.layer.part == "token" and self.inputs[0].token != FRAME else CHANNELS_LAST

    def class_signature(self) -> tuple[Any, ...]:
        (x,) = self.inputs
        return self.layer.part, x.token, *(map(int, x.size) if self.layer.part == "grid" else ())

    @property
    def is_view(self) -> bool:
        return True

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward()

    def variables(self, site: CallSite) -> dict[str, Any]:
        (x,) = self.inputs
        size = tuple(map(int, x.size))
        return {"token": self.layer.part == "token", "frame": x.token == FRAME, "size": size, "rows": size[1:]}
