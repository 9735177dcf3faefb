from __future__ import annotations

from math import prod
from typing import Any

from archdsl.core.grid import Grid, grid_text
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Choice, Flag, Initialiser, Integer, Size
from archdsl.layers.base import CHANNELS_LAST, Layer, ShapeError, Use, compact, divisors, layer

EMBEDDED_GAUSSIAN, GAUSSIAN, DOT_PRODUCT, CONCATENATION = (
    "embedded_gaussian", "gaussian", "dot_product", "concatenation",
)  # fmt: skip
WEIGHTS = {
    EMBEDDED_GAUSSIAN: "softmax(q·k/√d)",
    GAUSSIAN: "softmax(x·x)",
    DOT_PRODUCT: "q·k/N",
    CONCATENATION: "relu(w·[q,k])/N",
}
AXES = {"space_time": "thw", "space": "hw", "time": "t", "height": "h", "width": "w"}


@layer("attention", category="attention")
class Attention(Layer):
    """Attention: each position gathers values from others, weighted by how its query meets their keys.

    y[i] = proj(Σ f(q[i], k[j]) · v[j]), over the positions j that `over` names. The weights f are, for N positions
    (Wang et al. 2018, section 3.2; Vaswani et al. 2017): `embedded_gaussian`: softmax(q·k / √d) with d channels a
    head; `gaussian`: softmax(x·x), without queries and keys of their own; `dot_product`: q·k / N; `concatenation`:
    relu(w · [q, k]) / N with learned w.
    """

    module, heavy = True, True
    imports = ("from einops import rearrange", "from torch.nn import functional as F")
    layouts = (CHANNELS_LAST,)

    heads = Integer(1, doc="parts of the channels that attend on their own")
    dim = Integer(0, doc="channels of queries, keys and values, all heads together; if left out, those of the input")
    over = Choice(*AXES, default="space_time", doc="the axes that a position looks along")
    score = Choice(
        EMBEDDED_GAUSSIAN, GAUSSIAN, DOT_PRODUCT, CONCATENATION, default=EMBEDDED_GAUSSIAN, doc="the pairwise function"
    )
    scale = Flag(True, doc="whether `embedded_gaussian` divides by √d")
    kv_pool = Size(1, doc="window of a max pooling of keys and values, which moves by its own size")
    kv_pool_first = Flag(True, doc="whether it comes before their projection")
    bias = Flag(True, doc="whether the projections to queries, keys and values have a bias")
    proj_bias = Flag(True, doc="whether the last projection has one")
    init = Initialiser(Symbol("normal", (0.01,)), doc="how the weights begin; biases begin at 0")

    # --- facts ---

    @property
    def pooled(self) -> bool:
        return any(k != 1 for k in self.kv_pool)

    def inner(self, x: Grid) -> int:
        """Channels of the values, all heads together."""
        return self.dim or x.channels

    def context(self, x: Grid) -> Grid:
        """What keys and values are made of."""
        return Grid(x.channels, *(n // k for n, k in zip(x.size, self.kv_pool, strict=True)))

    def projections(self, x: Grid) -> dict[str, tuple[int, int]]:
        """The linear layers, each with its outputs and inputs. Those that see the same value are one."""
        dim = self.inner(x)
        shapes = {name: (len(name) * dim, x.channels) for name in self._inward()}
        shapes |= {"pair": (1, 2 * (dim // self.heads)), "proj": (x.channels, dim)}
        return {name: shapes[name] for name in self._names()}

    def _inward(self) -> list[str]:
        """What comes before the weights are found: a letter for each of queries, keys and values in one product."""
        if self.score == GAUSSIAN:
            return ["v"]
        return ["q", "kv"] if self.pooled and self.kv_pool_first else ["qkv"]

    def has_bias(self, projection: str) -> bool:
        return {"proj": self.proj_bias, "pair": False}.get(projection, self.bias)

    # --- rules ---

    def infer(self, *inputs: Grid) -> Grid:
        (x,) = inputs
        for channels in (self.inner(x), x.channels) if self.score == GAUSSIAN else (self.inner(x),):
            if channels % self.heads:
                message = f"{int(channels)} channels cannot be split into {int(self.heads)} heads"
                raise ShapeError(message, "heads", "E0508", divisors("heads", channels))
        for index, (axis, k, n) in enumerate(zip("thw", self.kv_pool, x.size, strict=True)):
            if axis not in AXES[self.over] and k != 1:
                message = f"`{self.over}` does not look along {axis}, so keys cannot be pooled there"
                error = ShapeError(message, "kv_pool", "E0509", "pool by 1 on this axis, or look along it, too")
            elif n // k < 1:
                message = f"a window of {int(k)} over {axis} is larger than the grid of {grid_text(x.size)}"
                error = ShapeError(message, "kv_pool", "E0503", "use a smaller window or a larger clip")
            else:
                continue
            error.index = index
            raise error
        return x

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for name, (out, into) in self.projections(inputs[0]).items():
            found[f"{name}.weight"] = (out, into)
            if self.has_bias(name):
                found[f"{name}.bias"] = (out,)
        return found

    def macs(self, output: Grid, *inputs: Grid) -> int:
        (x,) = inputs
        few, dim = self.context(x), self.inner(x)
        pairs = x.positions * prod(getattr(few, axis) for axis in AXES[self.over])
        total = pairs * dim + x.positions * dim * x.channels  # the weighted sums, and the last projection
        total += (few if self.kv_pool_first else x).positions * dim * x.channels  # values
        if self.score == GAUSSIAN:
            return total + pairs * x.channels
        total += (x.positions + (few if self.kv_pool_first else x).positions) * dim * x.channels  # queries and keys
        return total + ((x.positions + few.positions) * dim if self.score == CONCATENATION else pairs * dim)

    def form(self) -> tuple[Any, ...]:
        return (int(self.heads) == 1, self.dim == 0, *(int(k) for k in self.kv_pool))

    def parts(self) -> dict[str, str]:
        return dict.fromkeys(self._names(), "nn.Linear")

    def _names(self) -> list[str]:
        return [*self._inward(), *(["pair"] if self.score == CONCATENATION else []), "proj"]

    def plan(self, use: Use) -> dict[str, Any]:
        rest = "".join(a for a in "thw" if a not in AXES[self.over])
        batch, positions = f"(b {' '.join(rest)})" if rest else "b", " ".join(AXES[self.over])
        positions = f"({positions})" if len(AXES[self.over]) > 1 else positions
        alone = self.heads == 1
        axes, pooled = self.over.replace("_", " and "), ", to max-pooled keys and values" if self.pooled else ""
        weights = WEIGHTS[self.score] if self.scale else WEIGHTS[self.score].replace("/√d", "")
        return {
            "channels": use.inputs[0].channels,
            "dim": self.dim or None,
            "heads": None if alone else self.heads,
            "score": self.score,
            "scaled": self.scale,
            "doc": f"Attention over {axes}{pooled}, weighted by {weights}.",
            "channels_of": "d" if alone else "(n d)",
            "tokens": f"{batch} {1 if alone else 'n'} {positions} d",
            "pool": compact(self.kv_pool) if self.pooled else None,
            "pool_first": self.kv_pool_first,
            "bias": self.bias,
            "proj_bias": self.proj_bias,
        }

    def inits(self) -> dict[str, Symbol]:
        found = {f"{name}.weight": self.init for name in self._names()}
        return found | {f"{name}.bias": Symbol("zeros") for name in self._names() if self.has_bias(name)}
