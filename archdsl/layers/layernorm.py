from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.attributes import Real
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import CHANNELS_LAST, FLOAT, TOKENS, VECTOR, Layer, Saved, Use, layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid
    from archdsl.layers.base import Precision


@layer("layernorm", category="norm")
class LayerNorm(Layer):
    """Normalisation over the channels of each position (Ba et al. 2016), with a learned scale γ and shift β."""

    module, torch_class = True, "nn.LayerNorm"
    layouts = (CHANNELS_LAST, TOKENS, VECTOR)

    eps = Real(1e-5, low=1e-15, high=1.0, doc="added to the variance")

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("weight", "bias"), (inputs[0].channels,))

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return dict.fromkeys(("weight", "bias"), (OUT,))

    def saved(self, use: Use) -> Saved:
        x = use.output
        statistics = 2 * FLOAT * (x.positions + x.tokens)  # mean and deviation
        if use.cast:
            return Saved(own=statistics + use.number * x.elements)
        return Saved(inputs=True, own=statistics)

    def number(self, sizes: Sequence[int], precision: Precision) -> int:
        return FLOAT if precision.cuda else max(sizes)  # autocast's list for CPUs has it not

    def plan(self, use: Use) -> dict[str, Any]:
        return {"channels": use.inputs[0].channels, "eps": None if self.eps == 1e-5 else self.eps}
