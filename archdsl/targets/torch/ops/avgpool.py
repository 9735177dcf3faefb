from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid
from archdsl.layers.avgpool import AvgPool
from archdsl.layers.base import known_to_be
from archdsl.layers.padding import slides
from archdsl.targets.torch.ops.base import Op, compact, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID, KEPT, ROW, VECTOR
from archdsl.targets.torch.ops.padding import padding_variables, pooled_size
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep

_WHOLE = {GRID: (2, 3, 4), CHANNELS_LAST: (1, 2, 3), ROW: 1}  # axes of all positions, by layout


@op("avgpool")
class AvgPoolOp(Op[AvgPool]):
    @property
    def accepted_layouts(self) -> tuple[str, ...]:
        return (GRID, CHANNELS_LAST, ROW) if self.layer.whole else (GRID,)

    def output_layout(self, layout: str) -> str:
        return VECTOR if self.layer.whole and KEPT not in self.forms else layout

    def other_forms(self) -> frozenset[str]:
        return frozenset({KEPT} if self.layer.whole else ())

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        layer, x, size = self.layer, self.inputs[0], step.element_size
        if not slides(layer.kernel, layer.stride):
            return SavedForBackward()
        if self._divides:
            y = self.output
            return SavedForBackward(own=size * layer.window.padded(self._averaged), once=size * y.t * y.h * y.w)
        if not layer.window.is_even:
            return SavedForBackward(own=size * layer.window.padded(self._averaged))
        if 0 not in layer.kernel:
            return SavedForBackward(own=size * x.elements) if step.casts else SavedForBackward(inputs=True)
        return SavedForBackward(own=size * self._averaged.elements)

    @property
    def _averaged(self) -> Grid:
        """The grid that is pooled, with the mean over whole axes."""
        x = self.inputs[0]
        t, h, w = (n if k else 1 for n, k in zip(x.size, self.layer.kernel, strict=True))
        return Grid(x.channels, t, h, w)

    @property
    def _divides(self) -> bool:
        """True if averages are divided by the share of each window in the grid, as padding does not count."""
        return not self.layer.counts_padding and not self.layer.window.is_even

    @property
    def _pads_same_alone(self) -> bool:
        """True if all axes along which the window moves are padded so that n / stride positions are left."""
        window = self.layer.window
        axes = zip(window.fits_grid, window.kernel, window.stride, strict=True)
        return all(fits or k == s == 1 for fits, k, s in axes) and 0 not in self.layer.kernel

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return pooled_size(self.layer, sizes, precision)

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer, window = self.layer, self.layer.window
        axes = tuple(axis for axis, k in enumerate(layer.kernel, start=2) if known_to_be(k, 0))
        return {
            "axes": None if not axes else axes[0] if len(axes) == 1 else axes,
            "whole": _WHOLE[site.layout] if layer.whole else None,
            "row": site.layout == ROW,
            "kept": KEPT in self.forms,
            "kernel": compact(window.kernel) if slides(layer.kernel, layer.stride) else None,
            "stride": compact(layer.stride),
            "ceil": layer.ceil,
            "divides": self._divides,
            "same_alone": self._divides and self._pads_same_alone,
            "inside": not layer.counts_padding and not self._divides and not known_to_be(window.around, 0),
            **padding_variables(window),
        }
