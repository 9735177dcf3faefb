from __future__ import annotations

from archdsl.core.grid import CLIP, FRAME, Grid
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Choice, Initialiser, Integer, TokenName
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import Layer, ShapeError, layer


@layer("tokens", category="position")
class LearnedTokens(Layer):
    """Learned tokens beside the positions, under a name: registers (Darcet et al. 2024), prompts (Jia et al. 2022).

    Layers treat them as class tokens. `select(NAME)` extracts them, `without(NAME)` removes them. Several kinds can
    stand beside one grid, all of the clip or all of each frame.
    """

    takes_tokens = True

    name = TokenName("token", doc="the name of the tokens")
    n = Integer(doc="number of tokens, for the clip or for each frame")
    scope = Choice(CLIP, FRAME, default=CLIP, doc="tokens of the clip, or of each frame")
    init = Initialiser(Symbol("trunc_normal", (0.02,)), doc="initialiser of the tokens")

    def infer(self, *inputs: Grid) -> Grid:
        return with_tokens(inputs[0], self.name, int(self.n), self.scope)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.n, inputs[0].channels)}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"weight": (Axis(), OUT)}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {} if self.init.name == "zeros" else {"weight": self.init}


def with_tokens(x: Grid, name: str, number: int, scope: str) -> Grid:
    """Return a value with further tokens, behind those that are there.

    Raises:
        ShapeError: if it has tokens of this name, or of the other scope.
    """
    if name in x.tokens.names:
        raise ShapeError(f"{x} has {_called(name)} already", code="E0511", hint=f"`without({name})` removes it first")
    if x.token and x.token != scope:
        message = f"{x} has tokens of {_WHOSE[x.token]}, `{name}` would be of {_WHOSE[scope]}"
        hint = f"all tokens of a value are of the clip, or all of each frame: set the scope to `{x.token}`"
        raise ShapeError(message, "scope", "E0511", hint)
    return x._replace(tokens=x.tokens.with_kind(name, number, scope))


def absent(x: Grid, name: str, attribute: str) -> ShapeError:
    """Return the error of a layer for tokens that a value does not have."""
    wanted = "class token" if name == "token" else f"tokens called `{name}`"
    hint = f"its tokens: {', '.join(f'`{n}`' for n in x.tokens.names)}"
    if not x.tokens:
        word = "class_token" if name == "token" else f"tokens({name}, 4)"
        hint = f"insert one with `{word}`, before the first attention"
    return ShapeError(f"{x} has no {wanted}", attribute, "E0511", hint)


_WHOSE = {CLIP: "the clip", FRAME: "each frame"}


def _called(name: str) -> str:
    return "a class token" if name == "token" else f"tokens called `{name}`"
