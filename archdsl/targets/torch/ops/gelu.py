from __future__ import annotations

from archdsl.layers.gelu import GELU
from archdsl.targets.torch.ops.base import Op, op


@op("gelu")
class GELUOp(Op[GELU]):
    imports = ("from torch.nn import functional as F",)
