"""Tensors that changes of layout in an attention give."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from archdsl.targets.torch.ops.attention_kept import Kept
from archdsl.targets.torch.ops.attention_layouts import CHANNELS_FIRST, EACH, LAST
from archdsl.targets.torch.ops.sites import FLOAT

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.attention_base import BaseAttention
    from archdsl.targets.torch.ops.attention_layouts import Operation
    from archdsl.targets.torch.ops.sites import TrainingStep


SLICING = ("parted_token", "parted_heads")  # whose parts have rows that a product copies
OF_BIASES = ("without_token", "bias", "summed", "beside_token", "places", "widened")

OF_TOKEN, OF_POSITIONS = ("rows_of_token", "token_alone"), ("rows_without_token", "without_token")  # rows of these


@dataclass
class Value:
    """A value: the tensor whose memory it shares, elements for one clip, element size in bytes.

    `packed` says whether its channels are last in memory, `is_sliced` whether it is a part of the positions of a
    tensor, whose rows a product copies, `trained` whether it takes a gradient.
    """

    tensor: str
    elements: int
    number: int
    packed: bool = True
    is_sliced: bool = False
    trained: bool = True


class KeptOfMoves(Kept):
    """Bytes of each saved tensor, and the tensors that changes of layout give."""

    def __init__(self, op: BaseAttention, step: TrainingStep) -> None:
        super().__init__(op, step)
        self.steps = op.operations
        self.clips = self.geometry.clips
        self.sizes: dict[str, int] = {}  # bytes of tensors
        self.values: dict[int, Value] = {}
        q, k = self.geometry.tokens
        one = (prod(self.layer.lines.size(n)) + tokens for n, tokens in (("q", q), ("k", k)))
        self.query_rows, self.key_rows = one  # of a clip, before they are divided into groups

    def _save(self, tensor: str) -> None:
        if tensor.startswith("input"):
            self.keeps_input = True
        else:
            self.own[tensor] = self.sizes[tensor] // self.clips

    def _tensor(self, operation: Operation, value: Value, output: int, elements: int) -> str:
        """Return the tensor that a change of layout gives: that of its input, or a copy."""
        if not self._copies(operation):
            return value.tensor
        name = f"{operation.macro} {output}"
        self.sizes[name] = elements * value.number
        return name

    def _elements(self, operation: Operation, given: list[Value]) -> int:
        """Return the elements of what a change of layout gives, all parts together."""
        elements, layer = given[0].elements, self.layer
        match operation.macro:
            case "stacked" | "with_token" | "beside_positions" | "rows_beside_token":
                return sum(v.elements for v in given)
            case "filled":
                return elements * prod(self.groups.padded) // prod(self.groups.grid)
            case "trimmed":
                return elements * prod(self.groups.grid) // prod(self.groups.padded)
            case "cut":
                return self._cut(elements, str(operation.options["way"]))
            case "padded" | "padded_queries":
                return elements * max(operation.options["widths"]) // min(operation.options["widths"])
            case "repeated":
                return elements * int(layer.heads) // int(layer.kv_heads)
            case "joined":
                return elements * self.query_rows // self.queries
            case _:
                return elements

    def _unit(self, operation: Operation, value: Value) -> None:
        """Account for lengths of queries or keys, before and after they are limited, and queries before their scale."""
        rows = value.elements // self.clips // self.layer.widths[0]
        number = FLOAT if self.precision.cuda else self.number  # a GPU's autocast takes lengths in float32
        if value.trained:
            self._save(value.tensor)
            self.keep(f"lengths {operation.outputs[0]}", 2 * rows, number)
        if operation.macro == "scaled_cosine":
            self.keep(f"normalised {operation.outputs[0]}", value.elements // self.clips, number)
            self.once += self.heads // len(self.layer.over) * number

    def _cut(self, elements: int, way: str) -> int:
        """Return the elements of a value in groups."""
        if way.startswith("windows"):  # filled up with zeros, where lines have not been so far
            filled = self.steps.form.cut_first
            return elements * prod(self.groups.padded) // prod(self.groups.grid) if filled else elements
        keys = way.endswith("_keys")
        rows = self.keys if keys else self.queries
        before = self.key_rows if keys else self.query_rows
        return elements * rows // before

    def _part(self, operation: Operation, index: int, elements: int) -> int:
        """Return the elements of one output."""
        positions = int(self.x.positions)
        rows = {**dict.fromkeys(OF_TOKEN, self.token), **dict.fromkeys(OF_POSITIONS, positions)}
        if operation.macro in rows:
            return elements * rows[operation.macro] // (positions + self.token)
        if operation.macro == "split":
            counts: list[int] = operation.options["counts"]
            return elements * counts[index] // sum(counts)
        if operation.macro == "parted_token":
            size, token = int(operation.options["size"]), int(operation.options["token"])
            return elements * (size if index else token) // (size + token)
        if operation.macro in ("parted", "parted_heads", "heads_of_parts", "apart_by_part", "chunks"):
            return elements // len(operation.outputs)
        if operation.macro == "narrowed":
            return elements * min(operation.options["widths"]) // max(operation.options["widths"])
        if operation.macro == "part_of_heads":
            return elements // int(operation.options["count"])
        return elements

    def _copies(self, operation: Operation) -> bool:
        if operation.macro in ("heads", "heads_of_parts"):
            order = self.steps.layouts[operation.inputs[0]].order
            return order in (LAST, *CHANNELS_FIRST, EACH[0]) and not self.are_axes_in_order()
        return operation.copies
