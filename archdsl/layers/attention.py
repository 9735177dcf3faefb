from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from archdsl.core.grid import FRAME, Grid, fixed
from archdsl.core.values import Symbol
from archdsl.layers.attention_costs import macs
from archdsl.layers.attention_interior import interior_of
from archdsl.layers.attention_rules import (
    CONCATENATION,
    DECOMPOSED,
    DOT_PRODUCT,
    EMBEDDED_GAUSSIAN,
    GAUSSIAN,
    NONE,
    SAME,
    TABLE,
    Pooling,
    check,
)  # fmt: skip
from archdsl.layers.attributes import Choice, Flag, Initialiser, Integer, Real, Size, Window
from archdsl.layers.axes import IN, OUT, Axis, Distances, Extent, Heads, Inner, Offsets
from archdsl.layers.base import layer
from archdsl.layers.groups import AXES, Groups, groups
from archdsl.layers.interior import Openable

if TYPE_CHECKING:
    from archdsl.layers.attention_lines import Lines
    from archdsl.layers.attributes import Size3
    from archdsl.layers.interior import Interior

LEAST_CHUNK = 32  # minimum number of queries in a chunk of banded attention


@layer("attention", category="attention")
class Attention(Openable):
    """Attention: each position gathers values from others, weighted by how its query meets their keys.

    y[i] = proj(Σ f(q[i], k[j]) · v[j]), over the positions j that `over`, `window` and the like select. The weights f
    are, for N positions (Wang et al. 2018, section 3.2; Vaswani et al. 2017): `softmax`: softmax(q·k / √d + b) with d
    channels a head and the biases b; `cosine`: the same of τ · cos(q, k) with a learned τ for each head (Liu et al.
    2022); `dot_product`: q·k / N; `concatenation`: relu(w · [q, k]) / N with learned w.

    Positions are looked at in groups: all along the axes of `over`, or in a `window`, which becomes as small as the
    axis that it covers. Windows that do not divide the grid are filled with zeros, which are looked at as the rest (Liu
    et al. 2022); `shift` moves all windows towards the end, round the border, where positions from its two sides do not
    see each other: their scores are 100 lower, as in the authors' code, or −∞ beside a class token and without `scale`.
    With a `dilation` of d a group holds every d-th position. A `band` of n lets each position see n/2 before and behind
    it, and costs as much as the axis is long.

    Lines in braces say how queries, keys and values are made; without braces each is a linear layer of what enters.
    Where lines change the grid of queries or keys, windows are cut out of theirs.

    A class token is one more position of each group: where there are several it is copied, and its results are
    averaged. In a band it sees all positions, and all see it (Beltagy et al. 2020). It has no distance.
    """

    heavy = True
    takes_tokens = True
    takes_lines = True
    written_in: Lines | None = None  # the lines that a spec has for it, if it has

    heads = Integer(1, doc="parts of the channels that attend on their own")
    dim = Integer(0, minimum=0, doc="channels of queries, keys and values, all heads together; 0: those of the input")
    out = Integer(0, minimum=0, doc="channels of the output; 0: those of the input")
    over = Choice(*AXES, default="space_time", doc="the axes that a position looks along")
    half_over = Choice(SAME, *AXES, default=SAME, doc="those of the second half of the heads (ViViT, model 4)")
    window = Window(0, doc="positions of a group over t, h and w; `all`: the whole axis, if it is looked along")
    shift = Size(0, minimum=0, doc="how far the windows are moved")
    dilation = Size(1, doc="distance between neighbours in a group")
    band = Integer(0, minimum=0, doc="positions that each sees before and behind it, together, on the one axis; 0: all")
    score = Choice(
        EMBEDDED_GAUSSIAN, GAUSSIAN, DOT_PRODUCT, CONCATENATION, default=EMBEDDED_GAUSSIAN, doc="the pairwise function"
    )
    scale = Flag(True, doc="whether `embedded_gaussian` divides by √d")
    pool = Choice("max", "avg", "conv", default="max", doc="how is pooled; `conv`: by one filter a channel of a head")
    q_pool = Size(1, doc="window of the pooling of queries")
    q_stride = Size(0, minimum=0, doc="its step; 0: its size")
    kv_pool = Size(1, doc="window of the pooling of keys and values")
    kv_stride = Size(0, minimum=0, doc="its step; 0: its size")
    kv_pool_first = Flag(False, doc="whether keys and values are pooled before their projection")
    pool_norm = Flag(False, doc="whether a layer normalisation of each head follows a pooling")
    eps = Real(1e-5, low=1e-15, high=1.0, doc="of that normalisation")
    add_query = Flag(False, doc="whether the pooled query is added to the result, before the last projection")
    position = Choice(NONE, TABLE, DECOMPOSED, default=NONE, doc="what is added for the distance of key and query")
    position_grid = Size(0, minimum=0, doc="the grid that `decomposed` tables were made for, if another; 0: this one")
    table_prefix = Flag(
        False, doc="whether a window that became smaller reads the table by the first rows of the larger one's index"
    )
    token_projections = Flag(False, doc="whether the class token has projections of its own, in a band")
    dropout = Real(0.0, high=1.0, doc="in training, the part of the weights that is 0")
    bias = Flag(True, doc="whether the projections to queries, keys and values have a bias")
    proj_bias = Flag(True, doc="whether the last projection has one")
    init = Initialiser(Symbol("normal", (0.01,)), doc="how the weights begin; biases begin at 0")
    proj_init = Initialiser(None, doc="how the last projection begins, if otherwise")
    position_init = Initialiser(Symbol("trunc_normal", (0.02,)), doc="how learned positions begin")

    # --- facts ---

    @property
    def axes(self) -> str:
        return AXES[self.over]

    @property
    def queries(self) -> Pooling:
        return Pooling("q_pool", self.q_pool, self.q_stride)

    @property
    def keys(self) -> Pooling:
        return Pooling("kv_pool", self.kv_pool, self.kv_stride)

    @property
    def pooled(self) -> bool:
        return self.queries.is_there or self.keys.is_there

    @property
    def names_windows(self) -> bool:
        """True if groups are windows or dilated, or have a position table, which depends on their size."""
        cut = any(self.window[i] for i, a in enumerate("thw") if a in self.axes)
        return cut or any(d != 1 for d in self.dilation) or self.position == TABLE

    def inner(self, x: Grid) -> int:
        """Return the channels of the values, of all heads together."""
        return self.dim or x.channels

    def groups(self, x: Grid) -> Groups:
        """Return the groups of the unpooled grid; with a class token per frame, those of one frame."""
        size = (1, x.h, x.w) if x.token == FRAME else x.size
        return groups(self.axes, size, self.window, self.dilation, self.shift)

    def is_banded(self, x: Grid) -> bool:
        """Return True if the band is narrower than the axis."""
        if not self.band:
            return False
        if self.position == TABLE:  # which is indexed by distance in the band
            return True
        at = "thw".index(self.axes)
        return self.band // 2 < int(x.size[at]) // int(self.dilation[at]) - 1

    def arrangement(self, x: Grid) -> str:
        """Return the form of its code: `whole` (one group), `axes`, `windows`, `band`, or `halves` of the heads."""
        if self.half_over != SAME:
            return "halves"
        apart = any(d != 1 for d in self.dilation)
        if self.is_banded(x) or (self.band and (self.token_projections or apart)):
            return "band"
        if self.names_windows and not self.band:
            return "windows"
        found = self.groups(x) if x.token else None
        alone = len(self.axes) == 3 if found is None else found.number == 1
        return "whole" if alone else "axes"

    def is_sized(self, x: Grid) -> bool:
        """Return True if its code is for one size of the grid only."""
        return bool(x.token or self.band or self.position != NONE) or self.names_windows

    def context(self, x: Grid) -> Grid:
        """Return the (pooled) grid from which keys and values are computed."""
        return Grid(x.channels, *self.keys.of(x))

    def projections(self, x: Grid) -> dict[str, tuple[int, int]]:
        """Return the output and input channels of each linear layer; projections of the same value are fused."""
        dim = self.inner(x)
        shapes = {name: (len(name) * dim, x.channels) for name in self._inward()}
        shapes |= {"pair": (1, 2 * (dim // self.heads)), "proj": (self.out or x.channels, dim)}
        shapes |= {"token_q": (dim, x.channels), "token_kv": (2 * dim, x.channels)}
        return {name: shapes[name] for name in self.projection_names()}

    def _inward(self) -> list[str]:
        """Return the names of the input projections, with a letter for each of queries, keys and values in one."""
        if self.score == GAUSSIAN:
            return ["v"]
        return ["q", "kv"] if self.keys.is_there and self.kv_pool_first else ["qkv"]

    def projection_names(self) -> list[str]:
        token = ["token_q", "token_kv"] if self.token_projections else []
        return [*self._inward(), *token, *(["pair"] if self.score == CONCATENATION else []), "proj"]

    def pool_modules(self, token: str = "") -> list[str]:
        """Return the names of poolings that are modules: those with weights, and those that skip a class token."""
        if self.pool != "conv" and not token:
            return []
        return [*(["q_pool"] if self.queries.is_there else []), *(["kv_pool"] if self.keys.is_there else [])]

    def _norms(self) -> list[str]:
        """Return the names of the normalisations after pooling."""
        q, kv = (self.pool_norm and p.is_there for p in (self.queries, self.keys))
        return [*(["q_norm"] if q else []), *(["k_norm", "v_norm"] if kv else [])]

    def has_bias(self, projection: str) -> bool:
        return {"proj": self.proj_bias, "pair": False}.get(projection, self.bias)

    def extents(self, x: Grid) -> tuple[Size3, Size3]:
        """Return the numbers of queries and keys of one group, each over (t, h, w)."""
        found = self.groups(x)
        grid = Grid(1, *found.grid)
        q, k = (p.of_window(found.window, found.grid, p.of(grid)) for p in (self.queries, self.keys))
        return q, k

    def table(self, x: Grid) -> Size3:
        """Return the window (t, h, w) whose relative positions the table has rows for."""
        t, h, w = (k or n for k, n in zip(self.window, self.groups(x).window, strict=True))
        if self.band:
            reach = self.band // 2 + 1
            t, h, w = (reach if a in self.axes else 1 for a in "thw")
        return int(t), int(h), int(w)

    # --- rules ---

    def infer(self, *inputs: Grid) -> Grid:
        x = inputs[0]
        if self.is_sized(x):
            fixed(x)
        check(self, x)
        return Grid(self.out or x.channels, *self.queries.of(x), x.tokens)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        x = inputs[0]
        found: dict[str, tuple[int, ...]] = {}
        for name, (out, into) in self.projections(x).items():
            found[f"{name}.weight"] = (out, into)
            if self.has_bias(name):
                found[f"{name}.bias"] = (out,)
        width = self.inner(x) // self.heads
        for name in self.pool_modules():
            kernel = self.q_pool if name == "q_pool" else self.kv_pool
            filters = width if name == "q_pool" else 2 * width  # of keys, then of values
            found |= {f"{name}.conv.weight": (filters, 1, *kernel)}
        for name in self._norms():
            found |= dict.fromkeys((f"{name}.weight", f"{name}.bias"), (width,))
        if self.position == TABLE:
            found["table"] = (prod(2 * n - 1 for n in self.table(x)), self.heads)
        elif self.position == DECOMPOSED:
            for axis, rows in zip("thw", self.position_rows(x), strict=True):
                found |= {f"relative.{axis}": (rows, width)} if axis in self.axes else {}
        return found

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        dim, width = Inner(1, self.heads), Inner()
        found: dict[str, tuple[Axis, ...]] = {"proj.weight": (OUT, dim), "proj.bias": (OUT,)}
        for name in self.projection_names()[:-1]:  # each letter is a part
            parts = Inner(2 if name == "token_kv" else 1 if name == "token_q" else len(name), self.heads)
            found |= {f"{name}.weight": (parts, IN), f"{name}.bias": (parts,)}
        found["pair.weight"] = (Axis(), Inner(2))
        extents = [Extent(a) for a in "thw"]
        found |= {"q_pool.conv.weight": (width, Axis(), *extents), "kv_pool.conv.weight": (Inner(2), Axis(), *extents)}
        for norm in self._norms():
            found |= dict.fromkeys((f"{norm}.weight", f"{norm}.bias"), (width,))
        if self.position == TABLE:
            found["table"] = (Distances(self.table(inputs[0])), Heads())
        return found | {f"relative.{axis}": (Offsets(axis), width) for axis in "thw"}

    def position_rows(self, x: Grid) -> Size3:
        """Return the rows of the decomposed tables; those for another grid are interpolated (PySlowFast)."""
        rows = zip(self.position_grid, *self.extents(x), self.queries.step, self.keys.step, strict=True)
        t, h, w = (2 * (max(n // s, n // r) if n else max(q, k)) - 1 for n, q, k, s, r in rows)
        return int(t), int(h), int(w)

    def is_stretched(self, x: Grid) -> bool:
        return any(r != 2 * max(q, k) - 1 for r, q, k in zip(self.position_rows(x), *self.extents(x), strict=True))

    def macs(self, output: Grid, *inputs: Grid) -> int:
        return macs(self, inputs[0])

    def interior(self, *inputs: Grid) -> Interior | None:
        if self.written_in is None:
            return None
        return interior_of(self.written_in, self.params(*inputs), self.macs(self.infer(*inputs), *inputs))

    def connections(self) -> tuple[object, ...]:
        if self.written_in is None:
            return ()
        return tuple((a.name, a.inputs) for a in self.written_in.applications)

    def chunks(self, x: Grid) -> tuple[int, int, int]:
        """Return the length of a sequence, the reach of the band to each side, and the number of queries in a chunk."""
        at = "thw".index(self.axes)
        length, reach = int(x.size[at]) // int(self.dilation[at]), int(self.band) // 2
        return length, reach, min(max(2 * reach, LEAST_CHUNK), length)

    def for_inference(self) -> Attention:
        return self.changed(dropout=0.0)

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        last = self.proj_init or self.init
        found = {f"{name}.weight": last if name == "proj" else self.init for name in self.projection_names()}
        found |= {f"{name}.bias": Symbol("zeros") for name in self.projection_names() if self.has_bias(name)}
        found |= {f"{name}.conv.weight": self.init for name in self.pool_modules()}
        if self.position_init.name == "zeros":
            return found
        if self.position == TABLE:
            found["table"] = self.position_init
        if self.position == DECOMPOSED:
            found |= {f"relative.{axis}": self.position_init for axis in self.axes}
        return found
