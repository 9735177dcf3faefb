from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.sym import Sym
from archdsl.layers.base import known_to_be
from archdsl.layers.channels import Channels
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, CHANNELS_LAST, TOKENS

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("channels")
class ChannelsOp(Op[Channels]):
    """A slice, or a module if its numbers follow from those of a block: so blocks of several widths share a class."""

    layouts = ANY_LAYOUT

    @property
    def is_module(self) -> bool:
        return any(isinstance(n, Sym) for n in (self.layer.start, self.layer.n))

    @property
    def is_view(self) -> bool:
        return True

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer = self.layer
        stop = layer.n if known_to_be(layer.start, 0) else layer.start + layer.n
        last = site.layout in (CHANNELS_LAST, TOKENS)
        return {"start": layer.start, "stop": stop, "last": last, "is_module": self.is_module}
