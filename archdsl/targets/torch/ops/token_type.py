from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.token_type import TokenType
from archdsl.targets.torch.ops.axes_text import channels_last_text
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import TOKENS

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("token_type")
class TokenTypeOp(Op[TokenType]):
    torch_class = "TokenType"
    layouts = (TOKENS,)
    saves_inputs = False
    has_own_vectors = True

    def class_signature(self) -> tuple[Any, ...]:
        tokens = self.inputs[0].tokens
        return tokens.number, tokens.noun

    def variables(self, site: CallSite) -> dict[str, Any]:
        tokens = self.inputs[0].tokens
        io = channels_last_text(tokens)
        return {"channels": site.inputs[0].channels, "n": tokens.number, "noun": tokens.noun, "io": io}
