"""Tensors that attention between positions saves for its backward pass.

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

from archdsl.layers.attention_arguments import CONCATENATION
from archdsl.targets.torch.ops.attention_between import masks_frames, widths_of
from archdsl.targets.torch.ops.decomposed import DISTANCES
from archdsl.targets.torch.ops.sites import FLOAT, TrainingStep

if TYPE_CHECKING:
    from typing import Any

    from archdsl.layers.attention_lines import BiasLine
    from archdsl.layers.attributes import Size3
    from archdsl.targets.torch.ops.attention_base import BaseAttention
    from archdsl.targets.torch.ops.base import Op

COUNT = 8  # bytes of a number of keys
ALIGNED = 8  # GPU kernels need multiples of it: channels per head, and keys of a mask


def aligned(number: int) -> int:
    """Return the next multiple that GPU kernels need."""
    return -(-number // ALIGNED) * ALIGNED


class KeptTensors:
    """Bytes of each saved tensor, for one clip (one frame, for a class token per frame).

    `lies` says which tensor contains each of `q`, `k`, `v`, and its size; `wide` counts channels of queries, keys and
    values in the products, all heads together, padding included.
    """

    def __init__(self, op: BaseAttention, step: TrainingStep) -> None:
        layer = op.layer
        self.op, self.layer, self.forms, self.step = op, layer, op.forms, step
        self.x, self.packed, self.number, self.precision = (
            op.inputs[0], step.channels_last, step.element_size, step.precision,
        )  # fmt: skip
        self.alone = step.batch == 1  # some copies are views then
        self.heads = int(layer.heads)
        d, e = widths_of(layer)
        self.dim, self.value_dim, self.wide = self.heads * layer.widths[0], self.heads * e, self.heads * max(d, e)
        self.geometry, self.token = layer.geometry, layer.lines.tokens[0].number
        self.groups = self.geometry.groups
        self.q, self.k = prod(self.geometry.queries), prod(self.geometry.keys)
        self.q_rows, self.k_rows = (n + m for n, m in zip((self.q, self.k), self.geometry.tokens, strict=True))
        self.queries, self.keys = self.groups.number * self.q_rows, self.groups.number * self.k_rows
        self.own: dict[str, int] = {}
        self.once: int = 0  # bytes, independent of the batch size
        self.keeps_input = False
        self.lies: dict[str, tuple[str, int]] = {}
        self.apart = False  # one of queries, keys and values has channels that are not contiguous
        self.grouped: set[str] = set()  # those that have been copied into groups, head by head
        self.trained = dict.fromkeys("qkv", True)  # whether queries, keys and values take gradients
        self.headed = d < e  # the heads of the queries are not interleaved in memory; those with zeros lie head by head

    # --- tensors ---

    def keep(self, tensor: str, size: int, number: int = 0) -> None:
        """Add a tensor of `size` elements; `number` is the element size in bytes, by default that of the layer."""
        self.own[tensor] = int(size) * (number or self.number)

    def keep_once(self, size: int) -> None:
        """Add a tensor of `size` elements that all clips share."""
        self.once += int(size) * self.number

    def lie(self, names: str, tensor: str, size: int) -> None:
        """Say which tensor of `size` elements contains queries, keys or values."""
        self.lies.update(dict.fromkeys(names, (tensor, int(size))))

    def keep_lying(self, name: str) -> None:
        """Add the tensor that contains queries, keys or values."""
        if self.lies[name][0] != "x" or not self.keeps_input:
            self.keep(*self.lies[name])

    def stays(self, over: str, size: Size3) -> bool:
        """Return True if the positions of a grid are in the order of its groups already."""
        order = [a for a in "thw" if a not in over] + [a for a in "thw" if a in over]
        longer = [a for a in order if size["thw".index(a)] > 1]
        return longer == sorted(longer, key="thw".index)

    def is_in_order(self) -> bool:
        """Return True if positions are in the order of their groups, so that grouping needs no copy."""
        form = self.layer.form
        return form != "windows" and not self._copies_queries() and self.are_axes_in_order()

    def are_axes_in_order(self) -> bool:
        """Return True if positions of whole axes are in the order of their groups."""
        return self.layer.form == "whole" or self.stays(self.layer.axes, self.groups.grid)

    def _copies_queries(self) -> bool:
        """Return True if queries are copied into groups, with their tokens."""
        return self.layer.form == "axes" and self.geometry.tokens[0] > 0


class Kept(KeptTensors):
    """Bytes of each tensor that attention between positions saves, in a fused kernel or as products."""

    # --- kernels ---

    def product(self, name: str, queries: int, keys: int, pairs: int) -> None:
        """Add the tensors of softmax attention without a fused kernel; `pairs` counts query-key pairs per head."""
        for operand, rows, letter in (("queries", queries, "q"), ("keys", keys, "k")):
            if self.is_factor(letter):
                self.keep(f"{name} scaled {operand}", rows * self.wide, FLOAT)
        self.keep_weights(f"{name} ", pairs * self.heads)

    def keep_weights(self, name: str, size: int) -> None:
        """Add the attention weights of softmax: its result, and what dropout leaves of them."""
        if self.is_factor("v") or not self.layer.dropout:
            self.keep(f"{name}weights", size, FLOAT)
        if self.layer.dropout and self.is_factor("v"):
            self.keep(f"{name}dropped", size, 1 if self.precision.cuda else FLOAT)
        if self.layer.dropout and self.trained["v"]:
            self.keep(f"{name}left", size, FLOAT)

    def is_factor(self, letter: str) -> bool:
        """Return True if the other factor of a product takes a gradient: that of values is the attention weights."""
        if letter == "v":
            scores = self.layer.score == CONCATENATION and self.step.trains
            return self.trained["q"] or self.trained["k"] or scores or self._is_learned()
        return self.trained["k" if letter == "q" else "q"]

    def sums(self, name: str, queries: int) -> None:
        """Add the log-sum-exp per query and head, which fused kernels save."""
        self.keep(f"{name} sums", queries * self.heads, FLOAT)

    def pads(self) -> bool:
        """Return True if flash attention on a GPU pads the channels of each head, which makes copies."""
        return self.precision == (True, True) and self.wide // self.heads % ALIGNED > 0

    def is_fused(self, *, masked: bool, learned: bool) -> bool:
        """Return True if a fused kernel computes the attention, so that the weights are not saved."""
        if not self.precision.cuda:
            return not (self.layer.dropout or masked or learned)
        width = self.wide // self.heads
        if self.precision.half:
            return not (masked or learned) or width % ALIGNED == 0
        return width % (ALIGNED // 2) == 0

    # --- between positions ---

    def weigh(self) -> None:
        """Add what attention in groups saves."""
        widened = self._widen()
        masked = self.layer.form == "windows" and self.groups.is_shifted and not widened
        biased = self.op.is_biased and DISTANCES not in self.forms
        learned = biased and self._is_learned()
        learned = learned or (biased and (self.precision.cuda or self.layer.table is not None))  # of three axes
        if masks_frames(self.layer, self.layer.axes) and not masked:
            pairs = self.q_rows * self.k_rows  # of zeros and −∞, or that by which scores or a bias are masked
            number = self.number if self.layer.softmax and not self.layer.cap else 1
            self.once += pairs * (self.layer.form != "windows" if biased else number)
            self.once += 0 if self.layer.softmax else COUNT * self.q_rows  # how many keys each query sees
            if self.layer.score == CONCATENATION:
                self.keep("scores", self.heads * self.queries * self.k_rows)
        if self.layer.cap:
            self._cap()
        elif self.layer.softmax and not self.apart and self.is_fused(masked=masked, learned=learned):
            self._fuse(masked=masked, learned=biased, widened=widened)
        else:
            self._multiply(widened=widened)

    def _is_learned(self) -> bool:
        """Return True if a bias has a gradient."""
        reads = self.trained["q"]
        return any(self.is_trained(b, op) or (b.layer.takes_queries and reads) for b, op in self.op.biases)

    def is_trained(self, bias: BiasLine, op: Op[Any]) -> bool:
        """Return True if a bias has weights that take gradients."""
        return self.step.trains and not bias.frozen and bool(op.layer.weights())

    def takes_gradient(self) -> bool:
        """Return True if the result has a gradient."""
        return self.trained["v"] or self.is_factor("v")

    def _widen(self) -> bool:
        """Account for channels of queries and keys that replace a bias or a mask; return True if there are any."""
        more = 0
        if DISTANCES in self.forms:
            more = sum(n for axis, n in zip("thw", self.geometry.keys, strict=True) if axis in self.layer.axes)
        elif "masks" in self.forms and self.layer.form == "windows":
            more = sum(n > 0 for n in self.groups.shift)
        self.wide += more * self.heads
        if more:
            self._lie_alike("wide")
        if DISTANCES in self.forms and self.layer.kv_heads:  # which the kernel repeats
            for name in "kv":
                self.lie(name, f"wide {name}", self.keys * self.wide * int(self.layer.kv_heads) // self.heads)
        return more > 0

    def _lie_alike(self, kind: str) -> None:
        """Say that queries, keys and values are copies of this kind."""
        for name in "qkv":
            self.lie(name, f"{kind} {name}", (self.queries if name == "q" else self.keys) * self.wide)

    def _multiply(self, *, widened: bool) -> None:
        """Add what attention without a fused kernel saves."""
        softmax, pairs = self.layer.softmax, self.queries * self.k_rows
        self.keep("y", self.queries * self.value_dim)
        if softmax:
            self.product("", self.queries, self.keys, pairs)
        elif self.trained["v"] or self.layer.score == CONCATENATION:
            self.keep("weights", self.heads * pairs)
        for name in filter(self.is_factor, "v" if softmax else "qkv"):
            if softmax and self.precision.half:
                self.keep(f"copy of {name}", self.keys * self.wide, FLOAT)
            else:
                self._copy(name, widened=widened)

    def _copy(self, name: str, *, widened: bool) -> None:
        """Add queries, keys or values as a product takes them: one matrix for each head."""
        rows = self.queries if name == "q" else self.keys
        if self.heads > 1 and not widened and name not in self.grouped:
            self.keep(f"copy of {name}", rows * (self.wide if name == "v" else self.dim))
        else:
            self.keep_lying(name)

    def _cap(self) -> None:
        """Add what attention with limited scores saves: the hyperbolic tangent and the softmax, in float32."""
        pairs = self.heads * self.queries * self.k_rows
        self.keep("y", self.queries * self.value_dim)
        if scored := self.is_factor("v"):
            self.keep("tanh", pairs)
        if scored or not self.layer.dropout:
            self.keep("softmax", pairs, FLOAT)
        if self.layer.dropout and scored:
            self.keep("dropped", pairs, 1 if self.precision.cuda else FLOAT)
        if (self.precision.half or self.layer.dropout) and self.trained["v"]:  # as the product takes them
            self.keep("weights", pairs)
        for name in filter(self.is_factor, "qkv"):
            self._copy(name, widened=False)

    def _fuse(self, *, masked: bool, learned: bool, widened: bool) -> None:
        """Add what a fused kernel saves."""
        if masked or learned:
            self._mask(masked=masked)
        elif self.pads():
            self.wide = self.heads * aligned(self.wide // self.heads)
            self._lie_alike("padded")
        if masked:  # windows and heads are merged into one axis
            self._lie_alike("of windows")
        for name in "qkv":
            self.keep_lying(name)
        self.keep("result", self.queries * self.wide)
        self.sums("", self.queries)
        is_axes = self.layer.form == "axes" and not self._copies_queries()
        joined = masked or (is_axes and not self.is_in_order())
        if widened or joined or self.wide != self.value_dim or (self.heads > 1 and self.headed):
            self.keep("y", self.queries * self.value_dim)

    def _mask(self, *, masked: bool) -> None:
        """Add the additive mask, per head: for each query group, for each window, or one for all."""
        size = self.heads * self.q_rows * aligned(self.k_rows)
        if self.op.bias_takes_queries:
            self.keep("mask", self.groups.number * size)
        else:
            self.keep_once(self.groups.number * size if masked else size)
