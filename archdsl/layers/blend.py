from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.add import Add
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import ShapeError, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("blend", category="merge")
class Blend(Add):
    """σ(w) · x + (1 − σ(w)) · y of two values x and y of one shape, with a learned w for each channel.

    At first w is 0, and the result their mean. UniFormerV2 (Li et al. 2022, section 3.3) blends the features of frames
    and those of the video; axes of 1 are repeated.
    """

    elementwise = False
    takes_tokens = True
    treats_positions_alone = True
    hands_on_gradient = False
    drawn_as = ""
    joined = "blended"
    beside_tokens = False

    def infer(self, *inputs: Grid) -> Grid:
        if len(inputs) != 2:
            values = f"{len(inputs)} value" + ("s" if len(inputs) > 1 else "")
            raise ShapeError(f"`blend` takes two values, found {values}", code="E0405", hint="`blend { in, … }`")
        return super().infer(*inputs)

    def is_identity(self, *inputs: Grid) -> bool:
        return False

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.infer(*inputs).channels,)}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"weight": (OUT,)}
