from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.grid import OnGrid
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import TOKENS

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("grid")
class OnGridOp(Op[OnGrid]):
    layouts = (TOKENS,)
    saves_inputs = False

    def class_signature(self) -> tuple[Any, ...]:
        return self.output.token, self.output.tokens.number

    def variables(self, site: CallSite) -> dict[str, Any]:
        (x, _) = self.inputs
        return {"frame": x.token == FRAME, "n": x.tokens.number, "noun": x.tokens.noun}
