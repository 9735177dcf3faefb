from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.class_token import ClassToken
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("class_token")
class ClassTokenOp(Op[ClassToken]):
    torch_class = "ClassToken"
    layouts = (CHANNELS_LAST, TOKENS)
    saves_inputs = False
    has_own_vectors = True

    @property
    def role(self) -> str:
        return self.layer.scope

    def class_signature(self) -> tuple[Any, ...]:
        return (self.inputs[0].tokens.number,)

    def output_layout(self, layout: str) -> str:
        return TOKENS

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {
            "channels": site.inputs[0].channels,
            "frame": self.layer.scope == FRAME,
            "others": self.inputs[0].tokens.number,
        }
