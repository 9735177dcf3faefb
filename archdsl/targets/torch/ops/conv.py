from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.base import known_to_be
from archdsl.layers.conv import Conv
from archdsl.layers.padding import CAUSAL
from archdsl.targets.torch.ops.base import Op, compact, op, plain
from archdsl.targets.torch.ops.padding import padding_variables
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep

FRAMES = "frames"  # the form in two dimensions, for each frame
SAME_CONV, CAUSAL_CONV = "SameConv", "CausalConv"


@op("conv")
class ConvOp(Op[Conv]):
    torch_class = "nn.Conv3d"
    prefers_channels_last = True
    uses_tf32 = True

    @property
    def by_frames(self) -> bool:
        return FRAMES in self.forms

    def output_is_free(self, *, trains: bool) -> bool:
        return not trains

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        x, size = self.inputs[0], step.element_size
        is_moved = not step.channels_last and not step.by_frames and x.t > 1
        if FRAMES in self.forms and is_moved and step.batch > 1:
            return SavedForBackward(own=size * x.elements)  # a copy with contiguous frames
        if not self.layer.window.is_even:
            return SavedForBackward(own=size * self.layer.window.padded(x))
        return SavedForBackward(own=size * x.elements) if step.casts else SavedForBackward(inputs=True)

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer = self.layer
        return {
            "channels": site.inputs[0].channels,
            "out": layer.out,
            "kernel": compact(layer.kernel),
            "stride": None if known_to_be(layer.stride, 1) else compact(layer.stride),
            "dilation": None if known_to_be(layer.dilation, 1) else compact(layer.dilation),
            "groups": None if known_to_be(layer.groups, 1) else layer.groups,
            "bias": layer.bias,
            "module_class": "SpatialConv" if FRAMES in self.forms else self._padding_class or self.torch_class,
            **self._padding(),
        }

    def _padding(self) -> dict[str, Any]:
        """Return the variables of padding, without those of what the class pads."""
        padding = padding_variables(self.layer.window)
        own = {SAME_CONV: ("same", "same_stride", "padding"), CAUSAL_CONV: ("apart",)}
        return padding | dict.fromkeys(own.get(self._padding_class, ()))

    @property
    def _padding_class(self) -> str:
        """The class that pads by its own kernel and stride, and so has any; "" if torch pads, or code in `forward`."""
        window = self.layer.window
        if not any(window.fits_grid):
            (t, *others) = window.apart
            return CAUSAL_CONV if t != (0, 0) and window.paddings[0] == CAUSAL and others == [(0, 0)] * 2 else ""
        axes = zip(window.fits_grid, window.ends, window.kernel, window.stride, strict=True)
        as_same = all(fits or (s == 1 and 2 * p == 2 * q == k - 1) for fits, (p, q), k, s in axes)
        return SAME_CONV if as_same and known_to_be(window.dilation, 1) else ""

    def other_forms(self) -> frozenset[str]:
        window = self.layer.window
        ones = (window.kernel[0], window.stride[0], window.around[0] + 1)
        frames = self.inputs[0].positions > 1  # not of vectors, as in squeeze-and-excitation
        return frozenset({FRAMES} if frames and known_to_be(ones, 1) and window.is_even else ())

    def class_signature(self) -> tuple[Any, ...]:
        window = self.layer.window
        if window.is_even:
            return ()
        if self._padding_class:
            return (self._padding_class,)
        return plain((*window.kernel, *window.stride, *window.dilation, *window.paddings))  # stand in `forward`
