from __future__ import annotations

from archdsl.core.grid import Grid
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Initialiser, Integer
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import Layer, layer


@layer("latents", category="position")
class Latents(Layer):
    """Learned vectors in place of the input, a grid of 1×1×n positions, equal for all clips (Jaegle et al. 2021).

    Of its input, only the number of clips counts. As queries of cross-attention, they can begin a path:
    `path latent = clip -> latents(128, 512)`.
    """

    takes_tokens = True
    ignores_input = True

    n = Integer(doc="number of vectors")
    out = Integer(0, minimum=0, doc="channels; 0: those of the input")
    init = Initialiser(Symbol("trunc_normal", (0.02,)), doc="initialiser of the vectors")

    def infer(self, *inputs: Grid) -> Grid:
        return Grid(self.out or inputs[0].channels, 1, 1, self.n)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.n, self.out or inputs[0].channels)}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"weight": (Axis(), OUT)}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {} if self.init.name == "zeros" else {"weight": self.init}
