from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.scale import VALUE, Scale
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, GRID
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep


@op("scale")
class ScaleOp(Op[Scale]):
    imports = ("from torch.nn import functional as F", "import math")
    torch_class = "Scale"
    layouts = ANY_LAYOUT

    @property
    def is_module(self) -> bool:
        return self.layer.learned

    @property
    def role(self) -> str:
        return "value" if self.layer.per == VALUE or not self.layer.learned else "channel"

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        saved = SavedForBackward(inputs=step.trains and self.layer.learned)
        number = 1 if self.layer.per == VALUE else int(self.inputs[0].channels)
        return saved._replace(once=saved.once + FLOAT * number) if self.layer.softplus else saved

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        is_number = self.layer.per == VALUE or not self.layer.learned  # which changes no dtype
        return max(sizes) if is_number else max(*sizes, FLOAT)

    def variables(self, site: CallSite) -> dict[str, Any]:
        one = self.layer.per == VALUE or not self.layer.learned
        grid, channels = site.layout == GRID and not one, None if one else site.inputs[0].channels
        factor = None if self.layer.learned else self.layer.init
        return {"channels": channels, "grid": grid, "softplus": self.layer.softplus, "factor": factor}
