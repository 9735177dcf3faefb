from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from archdsl.core.values import Symbol
from archdsl.layers.attributes import Initialiser, Integer, Size
from archdsl.layers.axes import Axis, Heads
from archdsl.layers.base import layer
from archdsl.layers.bias import BIAS, Bias, check_steps

if TYPE_CHECKING:
    from archdsl.core.grid import Grid
    from archdsl.layers.axes import Size3


@layer("continuous", category=BIAS)
class Continuous(Bias):
    """A bias of scores from a small network of the distances on each axis (Swin Transformer V2: Liu et al. 2022b).

    16 · σ(fc2(relu(fc1(d)))), where fc2 has no bias. For the distance x on an axis with a window of n positions,
    d = sign(x) · log2(1 + 8·|x| / (n − 1)) / 3: between −1.06 and 1.06, so that other windows can take the weights.
    Distances are in positions of the grid that enters the attention. There is one d for each axis that is looked along:
    `over = space` gives the network of images.
    """

    title = "the continuous relative position bias of a small network"

    hidden = Integer(512, doc="channels between the layers of the network")
    made_for = Size(0, minimum=0, doc="the window by which distances are divided, if another; 0: this one")
    init = Initialiser(Symbol("trunc_normal", (0.02,)), doc="how its weights begin; biases begin at 0")

    @property
    def divisors(self) -> Size3:
        """The windows by which distances are divided."""
        t, h, w = (int(n or own) for n, own in zip(self.made_for, self.geometry.window, strict=True))
        return t, h, w

    @property
    def distances(self) -> int:
        """Number of distances in a window."""
        return prod(2 * n - 1 for n in self.geometry.window)

    def check(self) -> None:
        check_steps(self.geometry)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        found = self.geometry
        return {
            "fc1.weight": (self.hidden, len(found.axes)),
            "fc1.bias": (self.hidden,),
            "fc2.weight": (found.heads, self.hidden),
        }

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"fc1.weight": (Axis(), Axis()), "fc1.bias": (Axis(),), "fc2.weight": (Heads(), Axis())}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {"fc1.weight": self.init, "fc1.bias": Symbol("zeros"), "fc2.weight": self.init}

    def bias_macs(self) -> int:
        return self.distances * self.hidden * (len(self.geometry.axes) + self.geometry.heads)
