from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.attributes import GRID
from archdsl.layers.select import Select
from archdsl.targets.torch.ops.base import Op, op, row_size
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, ROW, TOKENS, VECTOR

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite


@op("select")
class SelectOp(Op[Select]):
    layouts = (TOKENS,)

    @property
    def _span(self) -> tuple[int, int]:
        """The places of the selected tokens, or those of all tokens for the grid and for all."""
        (x,) = self.inputs
        takes_all = self.layer.part == GRID or self.layer.takes_all(x)
        return (0, x.tokens.number) if takes_all else x.tokens.span(self.layer.part)

    def other_forms(self) -> frozenset[str]:
        (x,), (start, stop) = self.inputs, self._span
        is_one = stop - start == 1 and not self.layer.takes_all(x)
        return frozenset({ROW} if self.layer.part != GRID and (x.token != FRAME or is_one) else ())

    def output_layout(self, layout: str) -> str:
        if ROW in self.forms:
            return ROW
        (x,) = self.inputs
        is_vector = x.token != FRAME and self.output.is_vector and not self.layer.takes_all(x)
        return VECTOR if self.layer.part != GRID and is_vector else CHANNELS_LAST

    def class_signature(self) -> tuple[Any, ...]:
        (x,) = self.inputs
        return (
            self.layer.part == GRID,
            self.layer.takes_all(x),
            x.token,
            *self._span,
            *(map(int, x.size) if self.layer.part == GRID else ()),
        )

    @property
    def is_view(self) -> bool:
        return True

    def variables(self, site: CallSite) -> dict[str, Any]:
        (x,) = self.inputs
        size, (start, stop) = row_size(x), self._span
        found = {
            "token": self.layer.part != GRID,
            "whole": self.layer.takes_all(x),
            "row": ROW in self.forms,
            "frame": x.token == FRAME,
            "size": size,
            "rows": size[1:],
        }
        return found | {"start": start, "stop": stop}
