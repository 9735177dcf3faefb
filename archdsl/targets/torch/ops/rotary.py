from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.rotary import TILED, Rotary
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("rotary")
class RotaryOp(Op[Rotary]):
    layouts = (CHANNELS_LAST, TOKENS)

    def class_signature(self) -> tuple[Any, ...]:
        x = self.inputs[0]
        return (
            *super().class_signature(),
            x.token,
            x.tokens.number,
            x.tokens.noun,
            *(map(int, x.size) if x.token else ()),
        )

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        x, layer = self.inputs[0], self.layer
        positions = sum(n for n, axis in zip(x.size, "thw", strict=True) if axis in layer.axes)
        return SavedForBackward(once=2 * step.element_size * positions * layer.part(x))  # cosines and sines

    def variables(self, site: CallSite) -> dict[str, Any]:
        x, layer = self.inputs[0], self.layer
        size = tuple(map(int, x.size))
        return {
            "base": layer.base,
            "axes": layer.axes,
            "tiled": layer.frequencies == TILED,
            "scope": x.token,
            "n": x.tokens.number,
            "noun": x.tokens.noun,
            "size": size[1:] if x.token == FRAME else size,
        }
