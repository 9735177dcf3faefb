from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.concat import Concat
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, CHANNELS_LAST, TOKENS

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("concat")
class ConcatOp(Op[Concat]):
    layouts = ANY_LAYOUT
    saves_inputs = False

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"axis": -1 if site.layout in (CHANNELS_LAST, TOKENS) else 1}
