from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.add import Add
from archdsl.targets.torch.ops.base import Op, op

if TYPE_CHECKING:
    from archdsl.core.grid import Grid
    from archdsl.targets.torch.ops.sites import CallSite


@op("add")
class AddOp(Op[Add]):
    saves_inputs = False

    def class_signature(self) -> tuple[Any, ...]:
        return tuple((x.tokens.scope, x.tokens.number, repeated_axes(x, self.output)) for x in self.inputs)

    def output_is_free(self, *, trains: bool) -> bool:
        return True

    def variables(self, site: CallSite) -> dict[str, Any]:
        tokens = [x.token for x in self.inputs]
        lone = tokens.index("") if any(tokens) and "" in tokens else None
        kinds = self.output.tokens
        return {"lone": lone, "axis": 2 if FRAME in tokens else 1, "n": kinds.number, "noun": kinds.noun}


def repeated_axes(x: Grid, output: Grid) -> tuple[bool, ...]:
    """Return for channels, frames, height and width whether a value is repeated along this axis."""
    return tuple(one != other for one, other in zip(x.shape, output.shape, strict=True))
