"""Tensors that attention saves for its backward pass, in each of its forms.

As in torch 2.13. On a CPU, with a learned position bias, dropout, shifted windows or channels that are not contiguous,
the attention weights are saved, with copies of queries and keys; otherwise flash attention saves its input, its output
and one number (the log-sum-exp) per query.

On a GPU (compute capability 8.0 and later) flash attention also supports dropout, with each head's channels padded to a
multiple of 8, and the memory-efficient kernel supports every mask, which is saved. The latter needs a multiple of 8
channels per head (4 in float32); otherwise the attention weights are saved there, too (`ATen/native/transformers/cuda`
has the rules). Under autocast all of it is in 16 bits, except attention weights that are saved and, on a GPU, the
normalisation of pooled queries, keys and values.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from archdsl.core.grid import FRAME, Grid
from archdsl.layers.attention_rules import DECOMPOSED, EMBEDDED_GAUSSIAN, GAUSSIAN, NONE, SAME
from archdsl.layers.groups import AXES
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward

if TYPE_CHECKING:
    from archdsl.layers.attention import Attention
    from archdsl.layers.attributes import Size3
    from archdsl.targets.torch.ops.base import Op
    from archdsl.targets.torch.ops.sites import TrainingStep

NO_BIAS, GIVEN, LEARNED = "", "given", "learned"
INDEX = 8  # bytes of an index of max pooling
ALIGNED = 8  # GPU kernels need multiples of it: channels per head, and keys of a mask


def saved(op: Op[Attention], step: TrainingStep) -> SavedForBackward:
    """Return the tensors that one attention saves; a tensor saved twice under one name counts once."""
    (x,) = op.inputs
    if op.layer.half_over != SAME:
        kept = _Halves(op, step)
    elif op.layer.arrangement(x) == "band":
        kept = _Band(op, step)
    else:
        kept = KeptOfGroups(op, step)
    clips = int(x.t) if x.token == FRAME else 1
    return SavedForBackward(kept.keeps_input, own=clips * sum(kept.own.values()), once=kept.once)


class Kept:
    """Bytes of each saved tensor, for one clip (one frame, for a class token per frame)."""

    def __init__(self, op: Op[Attention], step: TrainingStep) -> None:
        layer = op.layer
        self.layer, self.forms, self.x, self.packed = layer, op.forms, op.inputs[0], step.channels_last
        self.dim, self.token = int(layer.inner(self.x)), self.x.tokens.number
        self.value_dim = self.dim  # channels of values, and so of the result
        self.wide: int = self.dim  # channels of queries, keys and values in the products, padding included
        self.number, self.cast, self.precision = step.element_size, step.casts, step.precision
        self.alone = step.batch == 1  # some copies are views then
        self.own: dict[str, int] = {}
        self.once: int = 0  # bytes, independent of the batch size
        self.keeps_input = False

    def keep(self, tensor: str, size: int, number: int = 0) -> None:
        """Add a tensor of `size` elements; `number` is the element size in bytes, by default that of the layer."""
        self.own[tensor] = int(size) * (number or self.number)

    def keep_once(self, size: int) -> None:
        """Add a tensor of `size` elements that all clips share."""
        self.once += int(size) * self.number

    def keep_x(self, rows: int, *, copied: bool) -> None:
        """Add the input of a projection: a copy of `rows` positions, or the input itself."""
        if copied or self.cast or not self.packed:
            self.keep("x", rows * self.x.channels)
        else:
            self.keeps_input = True

    def stays(self, over: str, size: Size3) -> bool:
        """Return True if the positions of a grid are in the order of its groups already."""
        order = [a for a in "thw" if a not in over] + [a for a in "thw" if a in over]
        longer = [a for a in order if size["thw".index(a)] > 1]
        return longer == sorted(longer, key="thw".index)

    def product(self, name: str, queries: int, keys: int, pairs: int) -> None:
        """Add the tensors of softmax attention without a fused kernel; `pairs` counts query-key pairs per head."""
        heads = int(self.layer.heads)
        self.keep(f"{name} scaled queries", queries * self.wide, FLOAT)
        self.keep(f"{name} scaled keys", keys * self.wide, FLOAT)
        self.keep(f"{name} weights", pairs * heads, FLOAT)
        if self.layer.dropout:
            self.keep(f"{name} dropped", pairs * heads, 1 if self.precision.cuda else FLOAT)
            self.keep(f"{name} left", pairs * heads, FLOAT)

    def sums(self, name: str, queries: int) -> None:
        """Add the log-sum-exp per query and head, which fused kernels save."""
        self.keep(f"{name} sums", queries * int(self.layer.heads), FLOAT)

    def pads(self) -> bool:
        """Return True if flash attention on a GPU pads the channels of each head, which makes copies."""
        return self.precision == (True, True) and self.wide // int(self.layer.heads) % ALIGNED > 0

    def is_fused(self, *, masked: bool, learned: bool) -> bool:
        """Return True if a fused kernel computes the attention, so that the weights are not saved."""
        if not self.precision.cuda:
            return not (self.layer.dropout or masked or learned)
        width = self.wide // int(self.layer.heads)
        if self.precision.half:
            return not (masked or learned) or width % ALIGNED == 0
        return width % (ALIGNED // 2) == 0


class KeptOfGroups(Kept):
    """Attention in groups: one, whole axes or windows."""

    def __init__(self, op: Op[Attention], step: TrainingStep) -> None:
        super().__init__(op, step)
        layer = self.layer
        self.kind = layer.arrangement(self.x)
        self.groups, (q, k) = layer.groups(self.x), layer.extents(self.x)
        self.q, self.k = prod(q), prod(k)
        number = self.groups.number
        self.in_place = self.kind == "axes" and not self.token  # projected before it is split into groups
        self.queries, self.keys = number * (self.q + self.token), number * (self.k + self.token)
        grid = Grid(1, *self.groups.grid)
        self.rows = prod(self.groups.grid) + self.token
        self.pooled_queries, self.few = (prod(p.of(grid)) + self.token for p in (layer.queries, layer.keys))
        self.lies: dict[str, tuple[str, int]] = {}  # the tensor that contains each of `q`, `k`, `v`, with its size
        self.apart = False  # one of them has channels that are not contiguous
        self.headed = False  # the heads of the queries are not interleaved in memory
        self.bring()
        self._distances()
        self._weigh()

    def bring(self) -> None:
        """Account for what brings queries, keys and values."""
        if not self.layer.pooled and self.layer.score == EMBEDDED_GAUSSIAN:
            self._project()
        else:
            self._project_and_pool()
            self._split()
            self._normalise()

    def lie(self, names: str, tensor: str, size: int) -> None:
        """Say which tensor of `size` elements contains queries, keys or values."""
        self.lies.update(dict.fromkeys(names, (tensor, int(size))))

    def _keep(self, name: str) -> None:
        if self.lies[name][0] != "x" or not self.keeps_input:
            self.keep(*self.lies[name])

    def is_in_order(self) -> bool:
        """Return True if positions are in the order of their groups, so that grouping needs no copy."""
        if self.kind == "windows" or (self.token and self.kind == "axes"):
            return False
        return self.kind == "whole" or self.stays(self.layer.axes, self.groups.grid)

    def _project(self) -> None:
        self.keep_x(self.queries, copied=not (self.is_in_order() or self.in_place))
        self.lie("qkv", "qkv", 3 * self.dim * self.queries)

    def _project_and_pool(self) -> None:
        layer, dim = self.layer, self.dim
        if layer.score == GAUSSIAN or (layer.keys.is_there and layer.kv_pool_first):
            self._pool_first()
            return
        self.keep_x(self.rows, copied=False)
        self.lie("qkv", "qkv", 3 * dim * self.rows)
        modules = layer.pool == "conv" or self.token
        for pooling, parts, rows in ((layer.queries, "q", self.pooled_queries), (layer.keys, "kv", self.few)):
            if not pooling.is_there:
                continue
            if "taps" in self.forms and self.token and not self.alone:  # frames that are not contiguous are copied
                self.keep(f"frames of {parts}", len(parts) * dim * (self.rows - self.token))
            else:
                self.keep("qkv", 3 * dim * self.rows)
            if layer.pool == "conv" and layer.heads > 1:
                self.keep_once(len(parts) * dim * prod(pooling.kernel))  # a filter for each head
            elif layer.pool == "max":
                self.keep(f"{parts} indices", len(parts) * dim * (rows - self.token), INDEX)
            for names in [parts] if modules else parts:
                self.lie(names, names, len(names) * dim * rows)

    def _pool_first(self) -> None:
        layer, channels = self.layer, self.x.channels
        few, rows = self.few, self.rows
        if layer.keys.is_there:
            self.keeps_input = True
            self.keep("few", few * channels)
            if layer.pool == "max":
                self.keep("indices", few * channels, INDEX)
        if layer.score == GAUSSIAN:
            self.keep_x(rows, copied=False)
            key = "few" if layer.keys.is_there else "x"
            self.lie("q", "cast q" if self.cast else "x", rows * channels)
            self.lie("k", "cast k" if self.cast else key, few * channels)
            self.lie("v", "v", few * self.dim)
            self.apart = channels != self.dim or not self.packed
            return
        self.keep_x(rows, copied=False)
        self.lie("q", "q", rows * self.dim)
        self.lie("kv", "kv", 2 * few * self.dim)

    def _split(self) -> None:
        """Account for grouped queries, keys and values, which are copies unless they are in order."""
        if self.is_in_order():
            return
        self.lie("q", "q in groups", self.queries * self.dim)
        self.lie("k", "k in groups", self.keys * self.dim)
        self.lie("v", "v in groups", self.keys * self.dim)

    def _normalise(self) -> None:
        layer = self.layer
        for pooling, names in ((layer.queries, "q"), (layer.keys, "kv")):
            for name in names if layer.pool_norm and pooling.is_there else "":
                rows = self.queries if name == "q" else self.keys
                if self.precision == (True, True):  # layer norm casts 16-bit input to float32
                    self.keep(f"{name} to be normalised", rows * self.dim, FLOAT)
                else:
                    self._keep(name)
                self.keep(f"statistics of {name}", 2 * layer.heads * rows, FLOAT)
                self.lie(name, f"normalised {name}", rows * self.dim)
        self.headed = layer.pool_norm and layer.queries.is_there and self.kind != "whole"

    def biases(self) -> str:
        """Return which biases are added to scores: NO_BIAS, GIVEN for those without weights, or LEARNED."""
        return LEARNED if self.layer.position != NONE and "distances" not in self.forms else NO_BIAS

    def has_bias_of_queries(self) -> bool:
        """Return True if each query group has a bias of its own."""
        return self.layer.position == DECOMPOSED

    def _distances(self) -> None:
        if self.layer.position == DECOMPOSED:
            ends = zip("thw", *self.layer.extents(self.x), strict=True)
            for axis, q, k in ends:
                if axis in self.layer.axes:
                    self.keep(f"queries by {axis}", self.groups.number * self.q * self.dim)
                    self.keep_once(q * k * self.dim // self.layer.heads)

    def _widen(self) -> bool:
        """Account for channels of queries and keys that replace a mask; return True if there are any."""
        layer, shift = self.layer, self.groups.shift
        more = 0
        if "distances" in self.forms:
            more = sum(k for a, k in zip("thw", layer.extents(self.x)[1], strict=True) if a in layer.axes)
        elif "masks" in self.forms and self.kind == "windows":
            more = sum(n > 0 for n in shift)
        self.wide += more * int(layer.heads)
        if more:
            self.lie("q", "wide q", self.queries * self.wide)
            self.lie("k", "wide k", self.keys * self.wide)
            self.lie("v", "wide v", self.keys * self.wide)
        return more > 0

    def _weigh(self) -> None:
        layer, heads = self.layer, int(self.layer.heads)
        pairs = self.queries * (self.k + self.token)
        softmax = layer.score in (EMBEDDED_GAUSSIAN, GAUSSIAN)
        widened = self._widen()
        masked = self.kind == "windows" and self.groups.is_shifted and not widened
        biased = self.biases() != NO_BIAS
        learned = self.biases() == LEARNED or (biased and self.precision.cuda)
        if softmax and not self.apart and self.is_fused(masked=masked, learned=learned):
            self._fuse(masked=masked, learned=biased, widened=widened)
            return
        self.keep("y", self.queries * self.value_dim)
        if softmax:
            self.product("", self.queries, self.keys, pairs)
        else:
            self.keep("weights", heads * pairs)
        for name in "v" if softmax else "qkv":
            rows = self.queries if name == "q" else self.keys
            if softmax and self.precision.half:
                self.keep(f"copy of {name}", rows * self.wide, FLOAT)
            elif heads > 1 and not widened:
                self.keep(f"copy of {name}", rows * (self.wide if name == "v" else self.dim))
            else:
                self._keep(name)

    def _fuse(self, *, masked: bool, learned: bool, widened: bool) -> None:
        heads = int(self.layer.heads)
        if masked or learned:
            self._mask(masked=masked)
        elif self.pads():
            self.wide = heads * aligned(self.wide // heads)
            self.lie("q", "padded q", self.queries * self.wide)
            self.lie("k", "padded k", self.keys * self.wide)
            self.lie("v", "padded v", self.keys * self.wide)
        if masked:  # windows and heads are merged into one axis
            self.lie("q", "q of windows", self.queries * self.wide)
            self.lie("k", "k of windows", self.keys * self.wide)
            self.lie("v", "v of windows", self.keys * self.wide)
        for name in "qkv":
            self._keep(name)
        self.keep("result", self.queries * self.wide)
        self.sums("", self.queries)
        joined = masked or (self.in_place and not self.is_in_order())
        if widened or joined or self.wide != self.value_dim or self.layer.add_query or (heads > 1 and self.headed):
            self.keep("y", self.queries * self.value_dim)

    def _mask(self, *, masked: bool) -> None:
        """Add the additive mask, per head: for each query group, for each window, or one for all."""
        size = int(self.layer.heads) * (self.q + self.token) * aligned(self.k + self.token)
        if self.has_bias_of_queries():
            self.keep("mask", self.groups.number * size)
        else:
            self.keep_once(self.groups.number * size if masked else size)


def aligned(number: int) -> int:
    """Return a number of channels or keys as GPU kernels need it."""
    return -(-number // ALIGNED) * ALIGNED


class _Halves(Kept):
    """Attention whose two halves of the heads attend along different axes."""

    def __init__(self, op: Op[Attention], step: TrainingStep) -> None:
        super().__init__(op, step)
        layer = self.layer
        x, rows = self.x, int(self.x.positions)
        self.keep_x(rows, copied=False)
        for index, over in enumerate((layer.over, layer.half_over)):
            seen = prod(n for a, n in zip("thw", x.size, strict=True) if a in AXES[over])
            copied = not self.stays(AXES[over], x.size)
            half = rows * self.dim // 2
            if not self.is_fused(masked=False, learned=False):
                self._products(str(index), half, rows * seen * int(layer.heads) // 2)
                continue
            wide = half * aligned(self.dim // layer.heads) * layer.heads // self.dim if self.pads() else half
            copied = copied or self.pads()
            self.keep(f"{index}" if copied else "qkv", 3 * wide if copied else 6 * half)
            self.keep(f"{index} result", wide)
            self.keep(f"{index} sums", rows * layer.heads // 2, FLOAT)
        self.keep("y", rows * self.dim)

    def _products(self, name: str, half: int, weights: int) -> None:
        self.keep(f"{name} scaled", 2 * half, FLOAT)
        self.keep(f"{name} weights", weights, FLOAT)
        if self.layer.dropout:
            self.keep(f"{name} dropped", weights, 1 if self.precision.cuda else FLOAT)
            self.keep(f"{name} left", weights, FLOAT)
        self.keep(f"{name} values", half, FLOAT)


class _Band(Kept):
    """Banded attention along one axis, in chunks; a class token attends to all positions, and all attend to it."""

    def __init__(self, op: Op[Attention], step: TrainingStep) -> None:
        super().__init__(op, step)
        layer = self.layer
        x, dim, token = self.x, self.dim, self.token
        rows = int(x.positions) + token
        self.keep_x(rows, copied=not token and not (self.stays(layer.axes, x.size) and set(layer.dilation) == {1}))
        length, reach, chunk = layer.chunks(x)
        number, size, seen = x.positions // length, length, length + token
        banded = layer.is_banded(x)
        if banded:
            number, size, seen = number * -(-length // chunk), chunk, chunk + 2 * reach + token
        queries, keys = number * size, number * seen
        # Flash attention on a CPU supports masks without a gradient.
        masked = banded and self.precision.cuda
        flash = self.is_fused(masked=masked, learned=layer.position != NONE)
        if not flash:
            self.product("", queries, keys, queries * seen)
            self.keep("values", keys * dim, FLOAT)
        elif banded:
            self.keep("q, k and v of chunks", (queries + 2 * keys) * dim)
            self.keep("result", queries * dim)
            self.sums("", queries)
            columns = aligned(seen) if self.precision.cuda else seen
            self.keep_once(layer.heads * -(-length // chunk) * chunk * columns)  # the mask
        else:
            self.keep("qkv", 3 * dim * rows)
            self.keep("result", queries * dim)
            self.sums("", queries)
        if token:
            self._token(rows)
        if token or not flash or (banded and (length > chunk or length % chunk)):  # else y is the result
            self.keep("y", rows * dim)

    def _token(self, rows: int) -> None:
        layer, dim = self.layer, self.dim
        if not self.is_fused(masked=False, learned=False):
            self.product("token", self.token, rows, self.token * rows)
            self.keep("values of the token", rows * dim, FLOAT)
            return
        if layer.token_projections:
            self.keep("q, k and v of the token", self.token * dim + 2 * dim * rows)
        else:
            self.keep("qkv", 3 * dim * rows)
        self.keep("result of the token", self.token * dim)
        self.sums("token", self.token)
