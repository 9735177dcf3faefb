from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.avgpool import AvgPool
from archdsl.layers.base import known_to_be
from archdsl.targets.torch.ops.base import Op, compact, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID, KEPT, VECTOR
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep


@op("avgpool")
class AvgPoolOp(Op[AvgPool]):
    imports = ("from torch.nn import functional as F",)

    @property
    def accepted_layouts(self) -> tuple[str, ...]:
        return (GRID, CHANNELS_LAST) if self.layer.whole else (GRID,)

    def output_layout(self, layout: str) -> str:
        return VECTOR if self.layer.whole and KEPT not in self.forms else layout

    def other_forms(self) -> frozenset[str]:
        return frozenset({KEPT} if self.layer.whole else ())

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        kernel, x = self.layer.kernel, self.inputs[0]
        if self.layer.is_mean:
            return SavedForBackward()
        if 0 not in kernel:
            copied = step.element_size * x.elements
            return SavedForBackward(own=copied) if step.casts else SavedForBackward(inputs=True)
        t, h, w = (n if k else 1 for n, k in zip(x.size, kernel, strict=True))
        return SavedForBackward(own=step.element_size * x.channels * t * h * w)  # the mean, which is then pooled

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        on_list = precision.half and not precision.cuda and not self.layer.is_mean  # autocast's for CPUs
        return FLOAT if on_list else max(sizes)

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer = self.layer
        t, h, w = (k or 1 for k in layer.kernel)
        axes = tuple(axis for axis, k in enumerate(layer.kernel, start=2) if known_to_be(k, 0))
        return {
            "axes": None if not axes else axes[0] if len(axes) == 1 else axes,
            "whole": ((1, 2, 3) if site.layout == CHANNELS_LAST else (2, 3, 4)) if layer.whole else None,
            "kept": KEPT in self.forms,
            "kernel": None if known_to_be((t, h, w), 1) and known_to_be(layer.stride, 1) else compact((t, h, w)),
            "stride": compact(layer.stride),
            "padding": None if known_to_be(layer.reach, 0) else compact(layer.reach),
        }
