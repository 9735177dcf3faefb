from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.space_to_channel import SpaceToChannel
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("space_to_channel")
class SpaceToChannelOp(Op[SpaceToChannel]):
    imports = ("from einops import rearrange",)
    layouts = (CHANNELS_LAST,)
    saves_inputs = False

    def class_signature(self) -> tuple[Any, ...]:
        return int(self.layer.n), *self._missing()

    def _missing(self) -> tuple[int, int]:
        """Return the columns and rows that are missing behind the grid."""
        x, n = self.inputs[0], int(self.layer.n)
        return -int(x.w) % n, -int(x.h) % n

    def variables(self, site: CallSite) -> dict[str, Any]:
        columns, rows = self._missing()
        return {"n": int(self.layer.n), "pad": (0, 0, 0, columns, 0, rows) if columns or rows else None}
