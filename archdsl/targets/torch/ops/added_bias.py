"""Added biases that declare no op: the members of an op are defined on the bias's class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.bias import Bias
from archdsl.targets.torch.ops.added import AddedLayer, Use
from archdsl.targets.torch.ops.bias import bias_arguments, bias_signature, bias_variables
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.core.grid import Grid


class AddedBias(Bias, AddedLayer):
    """A bias of scores with the members of an op: the base of an added bias that has no `Op`."""

    def plan(self, use: Use) -> dict[str, Any]:
        return bias_variables(self)

    def form(self, *inputs: Grid) -> tuple[Any, ...]:
        return bias_signature(self)

    def place(self, *inputs: Grid) -> Mapping[str, Any]:
        return bias_arguments(self)

    def saved(self, use: Use) -> SavedForBackward:
        return SavedForBackward()
