from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid, fixed
from archdsl.layers.maxpool import MaxPool
from archdsl.layers.padding import slides
from archdsl.targets.torch.ops.base import Op, compact, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID, KEPT, TOKENS, VECTOR
from archdsl.targets.torch.ops.padding import padding_variables, pooled_size
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep


@op("maxpool")
class MaxPoolOp(Op[MaxPool]):
    layouts = (GRID, TOKENS)

    @property
    def _whole(self) -> bool:
        """True if its output is a vector: the maximum of the grid, without tokens."""
        return len(self.layer.whole_axes) == 3 and not self.inputs[0].token

    @property
    def accepted_layouts(self) -> tuple[str, ...]:
        return (GRID, CHANNELS_LAST) if self._whole else self.layouts

    def output_layout(self, layout: str) -> str:
        return VECTOR if self._whole and KEPT not in self.forms else layout

    def other_forms(self) -> frozenset[str]:
        return frozenset({KEPT} if self._whole else ())

    @property
    def is_module(self) -> bool:
        return bool(self.inputs[0].token)

    def class_signature(self) -> tuple[Any, ...]:
        tokens = self.inputs[0].tokens
        return (tokens.number, tokens.noun, self.layer.ceil) if tokens else super().class_signature()

    def shape_arguments(self) -> dict[str, Any]:
        return {"grid": fixed(self.inputs[0])} if self.inputs[0].token else {}

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        x, y, size = self.inputs[0], self.output, step.element_size
        whole = () if x.token else self.layer.whole_axes
        if whole and not slides(self.layer.kernel, self.layer.stride):
            return SavedForBackward(inputs=True, output=True)
        indices = 2 * FLOAT * y.channels * y.positions
        if whole:  # the maximum over these axes is pooled further
            t, h, w = (1 if axis in whole else n for axis, n in enumerate(x.size))
            x = Grid(x.channels, t, h, w)
        if not self.layer.window.is_even:
            return SavedForBackward(inputs=bool(whole), own=size * self.layer.window.padded(x) + indices)
        copied = size * x.elements + indices
        if whole:
            return SavedForBackward(inputs=True, own=copied)
        return SavedForBackward(own=copied) if step.casts else SavedForBackward(inputs=True, own=indices)

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return pooled_size(self.layer, sizes, precision)

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer, x = self.layer, self.inputs[0]
        window, last = layer.window, site.layout == CHANNELS_LAST
        axes = tuple(axis + (1 if last else 2) for axis in layer.whole_axes)
        kernels = tuple(k or n for k, n in zip(layer.kernel, x.size, strict=True))
        return {
            "axes": None if x.token or not axes else axes[0] if len(axes) == 1 else axes,
            "is_vector": self._whole and KEPT not in self.forms,
            "kernel": compact(window.kernel) if slides(layer.kernel, layer.stride) else None,
            "stride": compact(layer.stride),
            "ceil": layer.ceil,
            "beside": x.tokens.number,
            "noun": x.tokens.noun,
            "kernels": kernels if x.token else layer.kernel,
            "strides": layer.stride,
            "reaches": window.around,
            **padding_variables(window),
        }
