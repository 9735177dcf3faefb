from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.base import known_to_be
from archdsl.layers.conv import Conv
from archdsl.layers.padding import around, depends_on_grid, padded
from archdsl.targets.torch.ops.base import Op, compact, op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep

FRAMES = "frames"  # the form in two dimensions, for each frame


@op("conv")
class ConvOp(Op[Conv]):
    torch_class = "nn.Conv3d"
    imports = ("from torch.nn import functional as F",)
    prefers_channels_last = True
    uses_tf32 = True

    @property
    def _pads(self) -> bool:
        """True if padding depends on the input size, so that a function computes it."""
        return depends_on_grid(self.layer.padding, self.layer.kernel, self.layer.stride)

    def output_is_free(self, *, trains: bool) -> bool:
        return not trains

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        x, size = self.inputs[0], step.element_size
        if FRAMES in self.forms and not step.channels_last and step.batch > 1:
            return SavedForBackward(own=size * x.elements)  # a copy with contiguous frames
        if self._pads:
            return SavedForBackward(own=size * padded(x, self.layer.kernel, self.layer.stride))
        return SavedForBackward(own=size * x.elements) if step.casts else SavedForBackward(inputs=True)

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer = self.layer
        padding = around(layer.padding, layer.kernel)
        return {
            "channels": site.inputs[0].channels,
            "out": layer.out,
            "kernel": compact(layer.kernel),
            "stride": None if known_to_be(layer.stride, 1) else compact(layer.stride),
            "padding": None if self._pads or known_to_be(padding, 0) else compact(padding),
            "pad": self._pads,
            "groups": None if known_to_be(layer.groups, 1) else layer.groups,
            "bias": layer.bias,
            "frames": FRAMES in self.forms,
        }

    def other_forms(self) -> frozenset[str]:
        flat = known_to_be(self.layer.kernel[0], 1) and known_to_be(self.layer.stride[0], 1)
        return frozenset({FRAMES} if flat and not self._pads else ())

    def class_signature(self) -> tuple[Any, ...]:
        if not self._pads:
            return ()
        return (*map(int, self.layer.kernel), *map(int, self.layer.stride))  # stand in `forward`
