from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.token_type import TokenType
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import TOKENS
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.sites import Precision, TrainingStep


@op("token_type")
class TokenTypeOp(Op[TokenType]):
    torch_class = "TokenType"
    layouts = (TOKENS,)

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return SavedForBackward()

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT  # that of its own vectors
