from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.base import known_to_be
from archdsl.layers.conv_transpose import ConvTranspose
from archdsl.targets.torch.ops.base import Op, compact, op
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("conv_transpose")
class ConvTransposeOp(Op[ConvTranspose]):
    torch_class = "nn.ConvTranspose3d"
    prefers_channels_last = True
    uses_tf32 = True

    def output_is_free(self, *, trains: bool) -> bool:
        return not trains

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        if step.casts:
            return SavedForBackward(own=step.element_size * self.inputs[0].elements)
        return SavedForBackward(inputs=True)

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer = self.layer
        return {
            "channels": site.inputs[0].channels,
            "out": layer.out,
            "kernel": compact(layer.kernel),
            "stride": None if known_to_be(layer.stride, 1) else compact(layer.stride),
            "padding": None if known_to_be(layer.padding, 0) else compact(layer.padding),
            "groups": None if known_to_be(layer.groups, 1) else layer.groups,
            "bias": layer.bias,
        }
