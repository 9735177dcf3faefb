"""Tensors that an attention with lines saves for its backward pass: those of its layers, and those of its form."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from archdsl.targets.torch.ops.attention_kept import Kept
from archdsl.targets.torch.ops.attention_layouts import CHANNELS_FIRST, EACH, LAST
from archdsl.targets.torch.ops.sites import SavedForBackward, TrainingStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.attention import AttentionOp
    from archdsl.targets.torch.ops.attention_layouts import Operation

SLICING = ("parted_token", "parted_heads")  # whose parts have rows that a product copies
OF_BIASES = ("without_token", "bias", "summed", "beside_token", "places", "widened")

OF_TOKEN, OF_POSITIONS = ("rows_of_token", "token_alone"), ("rows_without_token", "without_token")  # rows of these


@dataclass
class Value:
    """A value: the tensor whose memory it shares, elements for one clip, element size in bytes.

    `packed` says whether its channels are last in memory, `is_sliced` whether it is a part of the positions of a
    tensor, whose rows a product copies.
    """

    tensor: str
    elements: int
    number: int
    packed: bool = True
    is_sliced: bool = False


class KeptOfLines(Kept):
    """Bytes of each saved tensor; sizes of values are those of a clip, also where each frame is attended to alone."""

    def __init__(self, op: AttentionOp, step: TrainingStep) -> None:
        super().__init__(op, step)
        self.steps = op.operations
        self.clips = self.geometry.clips
        self.sizes: dict[str, int] = {}  # bytes of tensors
        self.values: dict[int, Value] = {}
        q, k = self.geometry.tokens
        one = (prod(self.layer.lines.size(n)) + tokens for n, tokens in (("q", q), ("k", k)))
        self.query_rows, self.key_rows = one  # of a clip, before they are divided into groups
        attended = next(i for i, o in enumerate(self.steps.list) if o.macro == "attended")
        self._bring(self.steps.list[:attended])
        self._find(self.steps.list[attended])
        self._distances()
        self.weigh()
        self._leave(self.steps.list[attended:])

    def total(self) -> SavedForBackward:
        """Return the sums."""
        return SavedForBackward(self.keeps_input, own=self.clips * sum(self.own.values()), once=self.once)

    def enter(self) -> None:
        """Account for what enters."""
        for i, x in enumerate(self.op.inputs):
            elements = int(x.elements)
            number = self.number if not (i == 0 and self.step.casts) else 4
            self.sizes[f"input {i}"] = elements * number
            self.values[i] = Value(f"input {i}", elements, number, self.packed)

    def _bring(self, operations: Sequence[Operation]) -> None:
        """Account for what brings queries, keys and values."""
        self.enter()
        for operation in operations:
            if operation.macro not in OF_BIASES:
                self._pass(operation)

    def _find(self, attended: Operation) -> None:
        """Find the tensors that contain queries, keys and values."""
        ends: tuple[int, ...] = attended.options.get("ends", attended.inputs)
        queries = next((o for o in self.steps.list if ends[0] in o.outputs), attended)
        self.headed = self.headed or self.steps.layouts[queries.inputs[0]].order in EACH
        for name, number in zip("qkv", ends, strict=False):
            value = self.values[number]
            if value.number != self.number:
                self.lie(name, f"cast {name}", value.elements // self.clips)
            elif value.tensor.startswith("input"):
                self.lie(name, "x", value.elements // self.clips)
            else:
                self.lie(name, value.tensor, self.sizes[value.tensor] // self.clips // self.number)
            self.apart = self.apart or not value.packed
            if value.tensor.startswith(("heads", "repeated")):
                self.grouped.add(name)

    def _distances(self) -> None:
        """Account for what biases save."""
        number = self.precision.product
        step = TrainingStep(batch=self.step.batch, precision=self.precision, element_size=number)
        for bias, op in self.op.biases:
            saved = op.saved_for_backward(step)
            self.own[f"own of {bias.label}"] = int(saved.own) // self.clips
            self.once += int(saved.once)
            if saved.inputs:
                self.keep_lying("q")

    def _leave(self, operations: Sequence[Operation]) -> None:
        """Account for what happens to the result."""
        y = self.own.pop("y", 0)
        tensor = "y" if y else "result"
        self.sizes[tensor] = (y or self.own.get(tensor, 0)) * self.clips
        [result] = operations[0].outputs
        self.values[result] = Value(tensor, self.sizes[tensor] // self.number, self.number)
        for operation in operations[1:]:
            self._pass(operation)

    def _save(self, tensor: str) -> None:
        if tensor.startswith("input"):
            self.keeps_input = True
        else:
            self.own[tensor] = self.sizes[tensor] // self.clips

    def _pass(self, operation: Operation) -> None:
        """Account for one operation."""
        if operation.application >= 0:
            self._layer(operation)
            return
        given = [self.values[i] for i in operation.inputs if i in self.values]
        if not given:
            return
        if operation.macro in ("scaled_cosine", "normalised"):
            self._unit(operation, given[0])
        if operation.macro in ("heads", "swapped"):  # each branch by itself
            for output, value in zip(operation.outputs, given, strict=True):
                tensor = self._tensor(operation, value, output, value.elements)
                self.values[output] = Value(
                    tensor, value.elements, value.number, value.packed or tensor != value.tensor
                )
            return
        elements = self._elements(operation, given)
        tensor = self._tensor(operation, given[0], operation.outputs[0], elements)
        packed = given[0].packed or tensor != given[0].tensor
        is_sliced = tensor == given[0].tensor and (given[0].is_sliced or operation.macro in SLICING)
        for i, output in enumerate(operation.outputs):
            part = self._part(operation, i, elements)
            self.values[output] = Value(tensor, part, given[0].number, packed, is_sliced)

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
        self._save(value.tensor)
        rows = value.elements // self.clips // self.layer.widths[0]
        self.keep(f"lengths {operation.outputs[0]}", 2 * rows)
        if operation.macro == "scaled_cosine":
            self.keep(f"normalised {operation.outputs[0]}", value.elements // self.clips)
            self.keep_once(self.heads // len(self.layer.over))

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

    def _layer(self, operation: Operation) -> None:
        application, op = self.op.parts[operation.application]
        given = [self.values[i] for i in operation.inputs]
        precision = self.step.precision
        number = op.element_size([v.number for v in given], precision)
        step = TrainingStep(
            self.steps.layouts[operation.inputs[0]].taken_as, channels_last=given[0].packed,
            batch=self.step.batch, precision=precision, element_size=number, casts=given[0].number != number,
        )  # fmt: skip
        saved = op.saved_for_backward(step)
        name, alike = f"output of {operation.application}", application.heads * len(application.inputs)
        elements = int(application.shape.elements) * application.heads * application.stack
        if op.for_heads:
            alike, elements = 1, int(op.output.elements)
        self.sizes[name] = elements * number
        tensor = given[0].tensor if op.is_view else name
        packed = (
            op.puts_channels_last
            or self.steps.layouts[operation.inputs[0]].order not in CHANNELS_FIRST
            or given[0].packed
        )
        is_sliced = op.is_view and (given[0].is_sliced or application.shape.tokens != application.shapes[0].tokens)
        self.values[operation.outputs[0]] = Value(tensor, elements, number, packed, is_sliced)
        if saved.own:
            self.own[f"own of {operation.application}"] = int(saved.own) * alike // self.clips
        self.once += int(saved.once)
        for value in given if saved.inputs else ():
            if value.is_sliced and application.layer.projects and not self.alone:
                self.own[f"rows of {operation.application}"] = value.elements * value.number // self.clips
            else:
                self._save(value.tensor)
        if saved.output:
            self._save(tensor)
