from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import CLIP, fixed
from archdsl.layers.groups import spanned
from archdsl.layers.position import AXIAL, TIME, Position
from archdsl.targets.torch.ops.axes_text import channels_last_text
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep

_PARTS = {2: "channels // 4", 3: "channels // 8 * 3", 4: "channels // 2", 8: "channels"}  # by shares of 8


@op("position")
class PositionOp(Op[Position]):
    torch_class = "Position"
    layouts = (CHANNELS_LAST, TOKENS)
    has_own_vectors = True

    @property
    def role(self) -> str:
        return self.layer.over

    @property
    def spanned_role(self) -> str:
        return spanned(self.layer.over, fixed(self.inputs[0]))

    def shape_arguments(self) -> dict[str, Any]:
        x = self.inputs[0]
        if self.layer.table:
            return {}
        return {"frames": int(x.t)} if self.layer.over == TIME and x.token != CLIP else {"grid": fixed(x)}

    def class_signature(self) -> tuple[Any, ...]:
        x = self.inputs[0]
        tokens = x.tokens
        return tokens.scope, tokens.number, tokens.noun, bool(self.layer.table), self.layer.interpolated_from(x)

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        indices = 2 * FLOAT * self.inputs[0].t if self.layer.table else 0  # of the frames
        return SavedForBackward(once=indices)

    def variables(self, site: CallSite) -> dict[str, Any]:
        x, layer = self.inputs[0], self.layer
        return {
            "channels": site.inputs[0].channels,
            "scope": x.token,
            "over": layer.over,
            "own": layer.token_vectors(x),
            "apart": layer.apart,
            "fixed": layer.is_fixed,
            "axial": layer.is_axial,
            "made_for": layer.interpolated_from(x),
            "table_of": "axial_sinusoid" if layer.vectors == AXIAL else "sinusoid",
            "parts": [(axis, _PARTS[share]) for axis, share in layer.axes],
            "of": "position's axes"
            if layer.vectors == AXIAL
            else "frame's number"
            if layer.over == TIME
            else "position's number",
            "table": layer.table or None,
            "n": x.tokens.number,
            "noun": f"the {x.tokens.noun}" if x.tokens.number == 1 else "each token",
            "io": channels_last_text(x.tokens),
        }
