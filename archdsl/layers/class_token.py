from __future__ import annotations

from archdsl.core.grid import CLASS_TOKEN, CLIP, FRAME, Grid
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Choice, Initialiser
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import Layer, layer
from archdsl.layers.tokens import with_tokens


@layer("class_token", category="position")
class ClassToken(Layer):
    """A learned class token beside the positions, in which attention gathers a feature of the clip, or of a frame.

    (Devlin et al. 2019; Dosovitskiy et al. 2021.) `select(token)` extracts it.
    """

    takes_tokens = True

    scope = Choice(CLIP, FRAME, default=CLIP, doc="one token for the clip, or one for each frame")
    init = Initialiser(Symbol("trunc_normal", (0.02,)), doc="initialiser of the token")

    def infer(self, *inputs: Grid) -> Grid:
        return with_tokens(inputs[0], CLASS_TOKEN, 1, self.scope)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return {"weight": (inputs[0].channels,)}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"weight": (OUT,)}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {} if self.init.name == "zeros" else {"weight": self.init}
