from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.base import Layer
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


class Convert(Layer):
    """Conversion of a value to another memory layout, inserted by the pass `layouts`, not available in specs."""

    kind, category, internal = "convert", "layout", True
    takes_tokens = True
    after: str


@op("convert")
class ConvertOp(Op[Convert]):
    layouts = ANY_LAYOUT

    def output_layout(self, layout: str) -> str:
        return self.layer.after

    @property
    def is_view(self) -> bool:
        return True

    def class_signature(self) -> tuple[str, ...]:
        return (self.layer.after,)

    def variables(self, site: CallSite) -> dict[str, Any]:
        return {"before": site.layout, "after": self.layer.after}
