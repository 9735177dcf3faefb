from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.rotary import TILED, Rotary
from archdsl.targets.torch.ops.axes_text import channels_last_text
from archdsl.targets.torch.ops.base import Op, op, plain
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward, SharedModule

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("rotary")
class RotaryOp(Op[Rotary]):
    """A module with the cosines and sines of all positions, which the layers of a stage share."""

    layouts = (CHANNELS_LAST, TOKENS)

    @property
    def _options(self) -> dict[str, Any]:
        x, layer = self.inputs[0], self.layer
        return {
            "base": float(layer.base),
            "axes": layer.axes,
            "tiled": layer.frequencies == TILED,
            "odd": x.channels % 2 == 1,
            "scope": x.token,
            "n": x.tokens.number,
            "noun": x.tokens.noun,
            "io": channels_last_text(x.tokens),
        }

    def class_signature(self) -> tuple[Any, ...]:
        return tuple(self._options.values())

    def shape_arguments(self) -> dict[str, Any]:
        x = self.inputs[0]
        sizes = int(x.channels), plain(x.size)
        return {
            "rotary": SharedModule(
                "Rotary", "Rotary", "rotations.j2", tuple(self._options.items()), sizes, ("channels", "grid")
            )
        }

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        casts = step.element_size != FLOAT  # of cosines and sines
        return SavedForBackward(once=2 * step.element_size * self.inputs[0].elements if casts else 0)

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {}
