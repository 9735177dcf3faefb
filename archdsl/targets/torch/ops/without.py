from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.without import Without
from archdsl.targets.torch.ops.axes_text import channels_last_text
from archdsl.targets.torch.ops.base import Op, op, row_size
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("without")
class WithoutOp(Op[Without]):
    layouts = (TOKENS,)
    saves_inputs = False

    @property
    def _span(self) -> tuple[int, int]:
        return self.inputs[0].tokens.span(self.layer.name)

    @property
    def is_view(self) -> bool:
        return self._span[0] == 0  # else other tokens stand before those that are removed

    def output_layout(self, layout: str) -> str:
        return TOKENS if self.output.tokens else CHANNELS_LAST

    def class_signature(self) -> tuple[Any, ...]:
        (x,), left = self.inputs, self.output.tokens
        return x.token, x.tokens.number, left.number, *self._span, *(() if left else map(int, x.size))

    def variables(self, site: CallSite) -> dict[str, Any]:
        (x,), (start, stop) = self.inputs, self._span
        size = row_size(x)
        found = {"left": self.output.tokens.number, "frame": x.token == FRAME, "size": size, "rows": size[1:]}
        found |= {"start": start, "stop": stop}
        return found | {"before": channels_last_text(x.tokens), "after": channels_last_text(self.output.tokens)}
