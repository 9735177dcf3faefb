from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.tokens import LearnedTokens
from archdsl.targets.torch.ops.axes_text import channels_last_text
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("tokens")
class LearnedTokensOp(Op[LearnedTokens]):
    torch_class = "Tokens"
    layouts = (CHANNELS_LAST, TOKENS)
    saves_inputs = False
    has_own_vectors = True

    @property
    def role(self) -> str:
        return self.layer.scope

    def class_signature(self) -> tuple[Any, ...]:
        return self.layer.scope, self.inputs[0].tokens.number, int(self.layer.n)

    def output_layout(self, layout: str) -> str:
        return TOKENS

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {
            "channels": site.inputs[0].channels,
            "n": self.layer.n,
            "frame": self.layer.scope == FRAME,
            "others": self.inputs[0].tokens.number,
            "before": channels_last_text(self.inputs[0].tokens),
            "after": channels_last_text(self.output.tokens),
        }
