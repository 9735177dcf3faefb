from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.beside import Beside
from archdsl.targets.torch.ops.axes_text import channels_last_text
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("beside")
class BesideOp(Op[Beside]):
    layouts = (CHANNELS_LAST, TOKENS)
    saves_inputs = False

    def output_layout(self, layout: str) -> str:
        return TOKENS

    def class_signature(self) -> tuple[Any, ...]:
        return self.output.token, self.inputs[0].tokens.number, self.output.tokens.number

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {
            "frame": self.output.token == FRAME,
            "others": self.inputs[0].tokens.number,
            "before": channels_last_text(self.inputs[0].tokens),
            "after": channels_last_text(self.output.tokens),
        }
