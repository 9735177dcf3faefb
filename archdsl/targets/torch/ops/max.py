from __future__ import annotations

from archdsl.targets.torch.ops.base import op
from archdsl.targets.torch.ops.multiply import MultiplyOp


@op("max")
class MaxOp(MultiplyOp):
    """Saves what a product does: each maximum is taken of two values, which its backward pass compares."""
