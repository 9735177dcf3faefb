from __future__ import annotations

from archdsl.core.grid import CLIP, FRAME, Grid
from archdsl.layers.attributes import Choice, TokenName
from archdsl.layers.base import Layer, ShapeError, layer
from archdsl.layers.tokens import with_tokens

SAME = "same"


@layer("beside", category="merge")
class Beside(Layer):
    """The positions of the second value as tokens beside the first, under a name (X-CLIP's messages: Ni et al. 2022).

    All positions become tokens of the clip, or those of each frame tokens of this frame.
    """

    many = True
    takes_tokens = True
    hands_on_gradient = True

    name = TokenName("token", doc="the name of the tokens")
    scope = Choice(
        CLIP,
        FRAME,
        SAME,
        default=SAME,
        doc="tokens of the clip or of each frame; `same`: as other tokens, else the clip",
    )

    def infer(self, *inputs: Grid) -> Grid:
        if len(inputs) != 2:
            message = (
                f"`beside` takes a grid and a value, found {len(inputs)} {'value' if len(inputs) == 1 else 'values'}"
            )
            raise ShapeError(message, code="E0405", hint=f"`beside({self.name}) {{ in, … }}`")
        x, value = inputs
        if value.tokens:
            message = f"{value} cannot become tokens: it has tokens itself"
            raise ShapeError(message, code="E0511", hint="`select(NAME)` takes some of them, `select(grid)` none")
        if value.channels != x.channels:
            message = f"tokens of {int(value.channels)} channels beside {int(x.channels)} channels"
            hint = f"`linear({int(x.channels)})` maps {int(value.channels)} channels to {int(x.channels)}"
            raise ShapeError(message, code="E0501", hint=hint)
        scope = self.scope_beside(x)
        if scope == FRAME and value.t != x.t:
            message = f"tokens of {int(value.t)} frames beside a grid of {int(x.t)} frames"
            raise ShapeError(message, code="E0502", hint="tokens of each frame need a value of as many frames")
        number = value.h * value.w if scope == FRAME else value.positions
        return with_tokens(x, self.name, int(number), scope)

    def scope_beside(self, x: Grid) -> str:
        """Return the scope of the tokens beside a value."""
        return self.scope if self.scope != SAME else x.token or CLIP
