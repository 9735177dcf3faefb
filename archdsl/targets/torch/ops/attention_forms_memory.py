"""Tensors that attention saves where it attends several times: bands, parts of the heads, lines of a class token.

Each attention is accounted for by itself, with the queries, keys and values that it takes.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from archdsl.targets.torch.ops.attention_kept import Kept, aligned
from archdsl.targets.torch.ops.attention_layouts import EACH, HEADS, ROWS
from archdsl.targets.torch.ops.attention_memory import KeptOfLines
from archdsl.targets.torch.ops.attention_moves_memory import Value
from archdsl.targets.torch.ops.sites import FLOAT

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.attention_base import BaseAttention
    from archdsl.targets.torch.ops.attention_layouts import Operation
    from archdsl.targets.torch.ops.sites import TrainingStep

VIEWS = ("without_token", "token_alone", "narrowed", "part_of_heads")


class _Sizes(NamedTuple):
    """Sizes of one attention: heads, their width, groups, and rows of all groups; `seen` are the keys of one."""

    heads: int
    wide: int
    number: int
    queries: int
    keys: int
    seen: int
    banded: bool
    is_whole: bool  # each sequence is one group


class KeptOfTimes(KeptOfLines):
    """Bytes of each saved tensor where a class token attends once more, with lines of its own."""

    def __init__(self, op: BaseAttention, step: TrainingStep) -> None:
        self.by_heads: set[int] = set()  # values whose heads lie one behind the other
        super().__init__(op, step)

    def _pass(self, operation: Operation) -> None:
        if operation.macro == "attended":
            self._attend(operation)
        else:
            super()._pass(operation)

    def _number(self, axes: str) -> int:
        """Return the number of groups along some axes."""
        size = self.layer.lines.shapes["q"].size
        apart = int(self.layer.dilation["thw".index(axes)]) if self.steps.form.divided else 1
        return apart * prod(int(n) for a, n in zip("thw", size, strict=True) if a not in axes)

    def _attend(self, operation: Operation) -> None:
        """Account for one attention."""
        sizes = self._sizes(operation)
        [output], [q, _, _, *more] = operation.outputs, operation.inputs
        name = f"attention {output}"
        self.trained = {n: self.values[i].trained for n, i in zip("qkv", operation.inputs, strict=False)}
        if not self.takes_gradient():
            rows = self.values[q].elements
            self.values[output] = Value(f"{name}: result", rows, self.number, trained=False)
            self.sizes[f"{name}: result"] = rows * self.number
            return
        masked, biased = sizes.banded or bool(more), bool(more) and self.op.is_biased
        learned = biased and (self._is_learned() or self.precision.cuda)
        if biased and not sizes.banded:
            value = self.values[q]
            self.lie("q", value.tensor, self.sizes[value.tensor] // self.number)
            self._distances()
        self.wide = sizes.wide * self.heads
        fused = self.is_fused(masked=masked and self.precision.cuda, learned=learned)
        if fused:
            self._fuse_one(operation, sizes, name, masked=masked)
        else:
            self._multiply_one(operation, sizes, name)
        if self.layer.causal and masked and not sizes.banded:
            self.once += sizes.queries // sizes.number * sizes.seen * (1 if biased else self.number)
        rows = self.values[q].elements
        self.values[output] = Value(f"{name}: result", rows, self.number)
        self.sizes[f"{name}: result"] = self.own.get(f"{name}: result", rows * self.number)
        padded = fused and self.pads() and not masked
        if self.heads > 1 and (not fused or padded or not sizes.is_whole):
            self.by_heads.add(output)

    def _sizes(self, operation: Operation) -> _Sizes:
        layer, options = self.layer, operation.options
        q, k = (self.values[i] for i in operation.inputs[:2])
        heads, wide = int(layer.heads) // len(layer.over), int(max(options["widths"]))
        number = self._number(str(options["along"]))
        if options["way"] == "band":
            length, reach, chunk = layer.chunks
            number *= -(-length // chunk)
            seen = chunk + 2 * reach + self.token
            return _Sizes(heads, wide, number, number * chunk, number * seen, seen, True, chunk == length)
        keys = k.elements // (int(options["key_heads"]) or heads) // wide
        return _Sizes(heads, wide, number, q.elements // heads // wide, keys, keys // number, False, True)

    def _fuse_one(self, operation: Operation, sizes: _Sizes, name: str, *, masked: bool) -> None:
        wide, heads = sizes.wide, sizes.heads
        if masked and (sizes.banded or self.op.is_biased):
            columns = aligned(sizes.seen) if self.precision.cuda else sizes.seen
            rows = sizes.queries // (self._number(str(operation.options["along"])) if sizes.banded else sizes.number)
            if self.op.bias_takes_queries:
                self.keep(f"{name}: mask", sizes.number * rows * heads * columns)
            else:
                self.keep_once(rows * heads * columns)
        elif self.pads():
            wide = aligned(wide)
        if sizes.banded or wide != sizes.wide:
            self.keep(f"{name}: q, k and v", (sizes.queries + 2 * sizes.keys) * heads * wide)
        else:
            for i in operation.inputs[:3]:
                self._save_value(self.values[i])
        self.keep(f"{name}: result", sizes.queries * heads * wide)
        self.keep(f"{name}: sums", sizes.queries * heads, FLOAT)

    def _save_value(self, value: Value) -> None:
        """Account for a value that is saved, as a copy if it is cast."""
        if value.number != self.number:
            self.keep(f"cast {value.tensor}", value.elements)
        else:
            self._save(value.tensor)

    def _multiply_one(self, operation: Operation, sizes: _Sizes, name: str) -> None:
        """Account for attention without a fused kernel."""
        heads, pairs = sizes.heads, sizes.queries * sizes.seen * sizes.heads
        for operand, rows, letter in (("queries", sizes.queries, "q"), ("keys", sizes.keys, "k")):
            if self.is_factor(letter):
                self.keep(f"{name}: scaled {operand}", rows * heads * sizes.wide, FLOAT)
        self.keep_weights(f"{name}: ", pairs)
        if not self.is_factor("v"):
            return
        if self.precision.half or sizes.banded or heads > 1:
            self.keep(f"{name}: values", sizes.keys * heads * sizes.wide, FLOAT if self.precision.half else 0)
        else:
            self._save_value(self.values[operation.inputs[2]])


class KeptOfForms(KeptOfTimes):
    """Bytes of each saved tensor of all operations, one after the other; tokens are those of a clip."""

    def __init__(self, op: BaseAttention, step: TrainingStep) -> None:
        Kept.__init__(self, op, step)
        self.steps, self.clips = op.operations, 1
        self.sizes: dict[str, int] = {}
        self.values: dict[int, Value] = {}
        self.by_heads: set[int] = set()  # values whose heads lie one behind the other
        self.enter()
        for operation in self.steps.list:
            if operation.macro not in ("bias", "summed", "beside_token"):
                self._pass(operation)
            if operation.macro != "attended":
                self._lay(operation)

    def _copies(self, operation: Operation) -> bool:
        given, options = operation.inputs[0], operation.options
        order = self.steps.layouts[given].order
        if operation.macro in ("heads", "heads_of_parts"):
            axes = str(options.get("along", self.layer.axes))
            return order not in (ROWS, EACH[1]) and not self._is_in_order(axes, is_apart=order == EACH[0])
        if operation.macro == "gridded":
            return given in self.by_heads or not self._is_in_order(str(options.get("along", self.layer.axes)))
        if operation.macro == "rearranged" and order == HEADS:
            return given in self.by_heads
        return operation.copies

    def _is_in_order(self, axes: str, *, is_apart: bool = False) -> bool:
        """Return True if positions are in the order of their groups; `is_apart` says whether heads come before."""
        size = self.layer.lines.shapes["q"].size
        if is_apart and self._number(axes) > 1:
            return False
        return self.stays(axes, size) and not self.steps.form.divided

    def _lay(self, operation: Operation) -> None:
        """Find out whether a value lies head by head in memory."""
        is_view = operation.macro in VIEWS and operation.inputs[0] in self.by_heads
        narrowed = operation.macro == "narrowed"  # each head is a part of its channels
        if is_view or narrowed or (operation.copies and self.steps.layouts[operation.outputs[0]].order == HEADS):
            self.by_heads |= set(operation.outputs) if self.heads > 1 or narrowed else set()
