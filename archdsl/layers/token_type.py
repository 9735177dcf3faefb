from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import CLIP
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Initialiser
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import Layer, ShapeError, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("token_type", category="position")
class TokenType(Layer):
    """Learned type embeddings, added to the positions and to the class token of the clip (Devlin et al. 2019)."""

    takes_tokens = True

    init = Initialiser(Symbol("normal", (0.02,)), doc="initialiser of both embeddings")

    def infer(self, *inputs: Grid) -> Grid:
        if inputs[0].token != CLIP:
            hint = "`select(token) -> class_token` makes one from the tokens of the frames"
            hint = hint if inputs[0].token else "insert one with `class_token`"
            raise ShapeError(f"{inputs[0]} has no class token of the clip", code="E0511", hint=hint)
        return inputs[0]

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return {"weight": (2, inputs[0].channels)}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"weight": (Axis(), OUT)}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {} if self.init.name == "zeros" else {"weight": self.init}
