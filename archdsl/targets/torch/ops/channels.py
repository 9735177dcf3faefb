from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.base import known_to_be
from archdsl.layers.channels import Channels
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, CHANNELS_LAST, TOKENS
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep


@op("channels")
class ChannelsOp(Op[Channels]):
    """A module, though it has no weights: so blocks of several widths share a class."""

    layouts = ANY_LAYOUT

    @property
    def is_view(self) -> bool:
        return True

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward()

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer = self.layer
        stop = layer.n if known_to_be(layer.start, 0) else layer.start + layer.n
        return {"start": layer.start, "stop": stop, "last": site.layout in (CHANNELS_LAST, TOKENS)}
