from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.values import Symbol
from archdsl.layers.attributes import Real
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import Layer, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("bn", category="norm")
class BatchNorm(Layer):
    """Batch normalisation of each channel (Ioffe and Szegedy 2015), with a learned scale γ and shift β."""

    is_affine_in_inference = True

    eps = Real(1e-5, low=1e-12, high=1.0, doc="ε, added to the variance")
    momentum = Real(0.1, high=1.0, doc="weight of the current batch in the running statistics")
    gamma = Real(1.0, high=1.0, doc="initial value of the scale γ; 0 makes a residual block start as the identity")

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("weight", "bias"), (inputs[0].channels,))

    def buffers(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        statistics = dict.fromkeys(("running_mean", "running_var"), (inputs[0].channels,))
        return {**statistics, "num_batches_tracked": ()}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (OUT,))

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        if self.gamma == 1.0:
            return {}
        return {"weight": Symbol("zeros") if self.gamma == 0.0 else Symbol("constant", (self.gamma,))}
