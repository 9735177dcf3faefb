"""Tensors that an attention with lines saves for its backward pass: those of its layers, and those of its form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.targets.torch.ops.attention_layouts import CHANNELS_FIRST, EACH
from archdsl.targets.torch.ops.attention_moves_memory import OF_BIASES, SLICING, KeptOfMoves, Value
from archdsl.targets.torch.ops.sites import SavedForBackward, TrainingStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.targets.torch.ops.attention_base import BaseAttention
    from archdsl.targets.torch.ops.attention_layouts import Operation


class KeptOfLines(KeptOfMoves):
    """Bytes of each saved tensor; sizes of values are those of a clip, also where each frame is attended to alone."""

    def __init__(self, op: BaseAttention, step: TrainingStep) -> None:
        super().__init__(op, step)
        attended = next(i for i, o in enumerate(self.steps.list) if o.macro == "attended")
        self._bring(self.steps.list[:attended])
        self._find(self.steps.list[attended])
        self._distances()
        if self.takes_gradient():
            self.weigh()
        else:
            self.sizes["result"] = self.queries * self.value_dim * self.number * self.clips
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
            self.values[i] = Value(f"input {i}", elements, number, self.packed, trained=self.step.takes(i))

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
            self.trained[name] = value.trained
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
        for bias, op in self.op.biases:
            trains = self.is_trained(bias, op)
            step = TrainingStep(batch=self.step.batch, precision=self.precision, element_size=number, trains=trains)
            reads = bias.layer.takes_queries and self.trained["q"]
            saved = op.saved_for_backward(step) if trains or reads else SavedForBackward()
            self.own[f"own of {bias.label}"] = int(saved.own) // self.clips
            self.once += int(saved.once)
            if saved.inputs:
                self.keep_lying("q")

    def _leave(self, operations: Sequence[Operation]) -> None:
        """Account for what happens to the result."""
        y = self.own.pop("y", 0)
        tensor = "y" if y else "result"
        if self.takes_gradient():
            self.sizes[tensor] = (y or self.own.get(tensor, 0)) * self.clips
        [result] = operations[0].outputs
        size = self.sizes[tensor] // self.number
        self.values[result] = Value(tensor, size, self.number, trained=self.takes_gradient())
        for operation in operations[1:]:
            self._pass(operation)

    def _pass(self, operation: Operation) -> None:
        """Account for one operation."""
        if operation.application >= 0:
            self._layer(operation)
            return
        given = [self.values[i] for i in operation.inputs if i in self.values]
        if not given:
            return
        trained = any(value.trained for value in given)
        if operation.macro in ("scaled_cosine", "normalised"):
            self._unit(operation, given[0])
            trained = trained or (operation.macro == "scaled_cosine" and self.step.trains)  # a learned scale
        if operation.macro in ("heads", "swapped"):  # each branch by itself
            for output, value in zip(operation.outputs, given, strict=True):
                tensor = self._tensor(operation, value, output, value.elements)
                self.values[output] = Value(
                    tensor, value.elements, value.number, value.packed or tensor != value.tensor, trained=value.trained
                )
            return
        elements = self._elements(operation, given)
        tensor = self._tensor(operation, given[0], operation.outputs[0], elements)
        packed = given[0].packed or tensor != given[0].tensor
        is_sliced = tensor == given[0].tensor and (given[0].is_sliced or operation.macro in SLICING)
        for i, output in enumerate(operation.outputs):
            part = self._part(operation, i, elements)
            self.values[output] = Value(tensor, part, given[0].number, packed, is_sliced, trained)

    def _layer(self, operation: Operation) -> None:
        application, op = self.op.parts[operation.application]
        given = [self.values[i] for i in operation.inputs]
        if application.layer.training_only and not self.step.trains:
            self.values[operation.outputs[0]] = given[0]
            return
        precision = self.step.precision
        number = op.element_size([v.number for v in given], precision)
        trains = self.step.trains and not application.frozen
        step = TrainingStep(
            self.steps.layouts[operation.inputs[0]].taken_as, channels_last=given[0].packed,
            batch=self.step.batch, precision=precision, element_size=number, casts=given[0].number != number,
            trains=trains, gradients=tuple(v.trained for v in given),
        )  # fmt: skip
        trained = any(step.gradients) or (trains and bool(application.layer.weights(*application.shapes)))
        saved = op.saved_for_backward(step) if trained else SavedForBackward()
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
        [x, *_], y = application.shapes, application.shape
        is_sliced = op.is_view and (given[0].is_sliced or (y.tokens != x.tokens and y.elements < x.elements))
        self.values[operation.outputs[0]] = Value(tensor, elements, number, packed, is_sliced, trained)
        if saved.own:
            self.own[f"own of {operation.application}"] = int(saved.own) * alike // self.clips
        self.once += int(saved.once)
        for value in saved.among(given):
            if value.is_sliced and application.layer.projects and not self.alone:
                self.own[f"rows of {operation.application}"] = value.elements * value.number // self.clips
            else:
                self._save(value.tensor)
        if saved.output:
            self._save(tensor)
