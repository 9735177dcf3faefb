from __future__ import annotations

from typing import Any

from archdsl.layers.table import Table
from archdsl.targets.torch.ops.base import op
from archdsl.targets.torch.ops.bias import BiasOp


@op("table")
class TableOp(BiasOp[Table]):
    def shape_arguments(self) -> dict[str, Any]:
        [(distances, _)] = self.layer.weights().values()
        return {"distances": int(distances)}
