from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import fixed
from archdsl.layers.base import known_to_be
from archdsl.layers.conv import HeadConv
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep

TAPS = "taps"  # the form in two dimensions, for each frame of the kernel


@op("head_conv")
class HeadConvOp(Op[HeadConv]):
    torch_class = "nn.Conv3d"
    for_heads = True
    imports = ("from einops import repeat",)

    @property
    def accepted_layouts(self) -> tuple[str, ...]:
        return (TOKENS,) if self.inputs[0].tokens else (CHANNELS_LAST,)

    def other_forms(self) -> frozenset[str]:
        return frozenset({TAPS} if self.layer.keeps_frames and not self.layer.bias else ())

    def class_signature(self) -> tuple[Any, ...]:
        tokens = self.inputs[0].tokens
        return tokens.number, tokens.noun, self.layer.bias, known_to_be(self.layer.dilation, 1)

    def shape_arguments(self) -> dict[str, Any]:
        return {"grid": fixed(self.inputs[0])} if self.inputs[0].tokens else {}

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer, tokens = self.layer, self.inputs[0].tokens
        sizes = {"kernel": layer.kernel, "stride": layer.stride, "padding": layer.window.around}
        found = {"channels": site.inputs[0].channels, "heads": layer.heads, "parts": layer.parts, **sizes}
        forms = {"taps": TAPS in self.forms, "dilation": None if known_to_be(layer.dilation, 1) else layer.dilation}
        return {**found, **forms, "bias": layer.bias, "token": tokens.number, "noun": tokens.noun}

    def cast_weights(self) -> int:
        return 0 if self.layer.heads > 1 else super().cast_weights()  # what is cast is a copy for each head

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        layer, x = self.layer, self.inputs[0]
        filters = x.channels * prod(layer.kernel) if layer.heads > 1 else 0  # a copy for each head
        once = filters * step.element_size
        taps = TAPS in self.forms
        if step.casts:  # by autocast, for each frame of the kernel by itself
            numbers = x.positions * int(layer.kernel[0]) if taps else x.positions + x.token_count
            return SavedForBackward(own=x.channels * numbers * step.element_size, once=once)
        if taps and x.tokens and step.batch > 1:  # frames that are not contiguous are copied
            return SavedForBackward(own=x.channels * x.positions * step.element_size, once=once)
        return SavedForBackward(inputs=True, once=once)
