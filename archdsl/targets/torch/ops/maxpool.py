from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import fixed
from archdsl.layers.base import known_to_be
from archdsl.layers.maxpool import MaxPool
from archdsl.layers.padding import depends_on_grid, padded
from archdsl.targets.torch.ops.base import Op, compact, op
from archdsl.targets.torch.ops.layouts import GRID, TOKENS
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep


@op("maxpool")
class MaxPoolOp(Op[MaxPool]):
    imports = ("from torch.nn import functional as F",)
    layouts = (GRID, TOKENS)

    @property
    def _pads(self) -> bool:
        """True if padding depends on the input size, so that a function computes it."""
        return depends_on_grid(self.layer.padding, self.layer.kernel, self.layer.stride)

    @property
    def is_module(self) -> bool:
        return bool(self.inputs[0].token)

    def class_signature(self) -> tuple[Any, ...]:
        tokens = self.inputs[0].tokens
        return (tokens.number, tokens.noun) if tokens else super().class_signature()

    def shape_arguments(self) -> dict[str, Any]:
        return {"grid": fixed(self.inputs[0])} if self.inputs[0].token else {}

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        x, y, size = self.inputs[0], self.output, step.element_size
        indices = 2 * FLOAT * y.channels * y.positions
        if self._pads:
            return SavedForBackward(own=size * padded(x, self.layer.kernel, self.layer.stride) + indices)
        copied = size * x.elements + indices
        return SavedForBackward(own=copied) if step.casts else SavedForBackward(inputs=True, own=indices)

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT if precision.half and not precision.cuda else max(sizes)  # on autocast's list for CPUs

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer = self.layer
        return {
            "kernel": compact(layer.kernel),
            "stride": compact(layer.stride),
            "padding": None if self._pads or known_to_be(layer.reach, 0) else compact(layer.reach),
            "pad": self._pads,
            "beside": self.inputs[0].tokens.number,
            "noun": self.inputs[0].tokens.noun,
            "kernels": layer.kernel,
            "strides": layer.stride,
            "reaches": layer.reach,
        }
