from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.continuous import Continuous
from archdsl.targets.torch.ops.base import op
from archdsl.targets.torch.ops.bias import BiasOp
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("continuous")
class ContinuousOp(BiasOp[Continuous]):
    @property
    def _is_stretched(self) -> bool:
        return self.layer.divisors != self.layer.geometry.window

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {**super().variables(site), "stretched": self._is_stretched}

    def shape_arguments(self) -> dict[str, Any]:
        found = super().shape_arguments()
        return {**found, "made_for": self.layer.divisors} if self._is_stretched else found

    def class_signature(self) -> tuple[Any, ...]:
        return (*super().class_signature(), self._is_stretched)

    def submodule_classes(self) -> dict[str, str]:
        return dict.fromkeys(("fc1", "fc2"), "nn.Linear")

    def cast_weights(self) -> int:
        return self.layer.params()

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        """Return the hidden values, and the bias of each distance before it is scaled by 16."""
        if not step.trains:
            return SavedForBackward()
        layer, found = self.layer, self.layer.geometry
        hidden = layer.distances * int(layer.hidden)
        cast = layer.distances * len(found.axes) if step.precision.half else 0
        return SavedForBackward(once=(cast + hidden + layer.distances * int(found.heads)) * step.element_size)
