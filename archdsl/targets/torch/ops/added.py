"""Ops of added layers that declare no op: the members of an op are defined on the layer's class.

Files of added layers derive from `Layer` of `archdsl.layers.base` and override the members below. The first ones have
the names of `Op`; the others are earlier names, which remain supported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.layers.base import Layer
from archdsl.targets.torch.ops.base import Op, plain, variables_of
from archdsl.targets.torch.ops.layouts import GRID
from archdsl.targets.torch.ops.sites import FLOAT, PLAIN, Precision, SavedForBackward
from archdsl.targets.torch.ops.template import template_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.core.grid import Grid
    from archdsl.targets.torch.ops.sites import CallSite, TrainingStep

RENAMED = {
    "plan": "variables",
    "saved": "saved_for_backward",
    "parts": "submodule_classes",
    "form": "class_signature",
    "place": "shape_arguments",
    "number": "element_size",
    "copied": "cast_weights",
}


class Use(NamedTuple):
    """The call of a layer at one place, in generated code or in a forward pass of training."""

    inputs: tuple[Grid, ...]
    output: Grid
    layout: str = GRID  # of the inputs
    inplace: bool = False  # the input may be overwritten
    examples: tuple[Grid, ...] = ()  # input shapes of one call, as plain integers
    channels_last: bool = True  # the first input's channels are last in memory, whatever its layout
    by_frames: bool = False  # the first input's frames come before its channels in memory
    batch: int = 2  # clips, in training
    precision: Precision = PLAIN
    element_size: int = FLOAT  # of the layer's computation, in bytes
    casts: bool = False  # autocast copies the first input to another dtype
    sliced: bool = False  # the first input is several positions of each clip or frame, between others in memory
    trains: bool = True  # its weights take gradients, and it is in training mode
    gradients: tuple[bool, ...] = ()  # for each input, whether it takes a gradient; of each if it is empty

    @property
    def number(self) -> int:
        """The element size in bytes: the earlier name of `element_size`."""
        return self.element_size

    @property
    def cast(self) -> bool:
        """True if autocast copies the input: the earlier name of `casts`."""
        return self.casts


class AddedLayer(Layer):
    """A layer with the members of an op: the base of an added layer's class that has no `Op`."""

    imports: tuple[str, ...] = ()
    layouts: tuple[str, ...] = (GRID,)
    module: bool = False
    torch_class: str = ""
    keeps_order: bool = True
    forms: frozenset[str] = frozenset()

    def is_module(self, *inputs: Grid) -> bool:
        """Return True if it becomes a submodule."""
        return self.module or "module" in template_of(self).macros

    def variables(self, use: Use) -> dict[str, Any]:
        """Return the variables of the template."""
        return self.plan(use)

    def saved_for_backward(self, use: Use) -> SavedForBackward:
        """Return what autograd keeps of it."""
        return self.saved(use)

    def submodule_classes(self) -> Mapping[str, str]:
        """Return the torch class of each submodule that `inits` speaks of."""
        return self.parts()

    def class_signature(self, *inputs: Grid) -> tuple[Any, ...]:
        """Return what its numbers decide about the form of its code."""
        return self.form(*inputs)

    def shape_arguments(self, *inputs: Grid) -> Mapping[str, Any]:
        """Return the arguments of its constructor that follow from the shape of its input."""
        return self.place(*inputs)

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        """Return the element size of its computation and output, in bytes."""
        return self.number(sizes, precision)

    def cast_weights(self, *inputs: Grid) -> int:
        """Return the number of weights that autocast copies to 16 bits."""
        return self.copied(*inputs)

    def is_view(self, *inputs: Grid) -> bool:
        """Return True if its output shares the memory of its first input."""
        return False

    def output_layout(self, layout: str, *inputs: Grid) -> str:
        """Return the layout of its output."""
        return layout

    def other_forms(self, *inputs: Grid) -> frozenset[str]:
        """Return alternative forms of its code."""
        return frozenset()

    # --- names used before ---

    def plan(self, use: Use) -> dict[str, Any]:
        """Return the variables of the template."""
        return variables_of(self, use.inputs)

    def saved(self, use: Use) -> SavedForBackward:
        """Return what autograd keeps of it."""
        return SavedForBackward(inputs=True)

    def parts(self) -> Mapping[str, str]:
        """Return the torch class of each submodule that `inits` speaks of."""
        return {"": self.torch_class} if self.torch_class else {}

    def form(self, *inputs: Grid) -> tuple[Any, ...]:
        """Return what its numbers decide about the form of its code."""
        return () if self.is_module(*inputs) else tuple(plain(v) for v in self.values().values())

    def place(self, *inputs: Grid) -> Mapping[str, Any]:
        """Return the arguments of its constructor that follow from the shape of its input."""
        return {}

    def number(self, sizes: Sequence[int], precision: Precision) -> int:
        """Return the element size of its computation and output, in bytes."""
        return max(sizes)

    def copied(self, *inputs: Grid) -> int:
        """Return the number of weights that autocast copies to 16 bits."""
        return 0


class AddedOp(Op[AddedLayer]):
    """The op of an added layer that defines the members of an op itself."""

    def __init__(self, layer: AddedLayer, inputs: tuple[Grid, ...], output: Grid) -> None:
        super().__init__(layer, inputs, output)
        self.imports, self.layouts = layer.imports, layer.layouts
        self.torch_class, self.keeps_order = layer.torch_class, layer.keeps_order
        self.overwrites = layer.category == "activation" and _reads_inplace(type(layer))

    @property
    def is_module(self) -> bool:
        return self.layer.is_module(*self.inputs)

    @property
    def is_view(self) -> bool:
        return self.layer.is_view(*self.inputs)

    def with_form(self, name: str) -> AddedOp:
        other = super().with_form(name)
        return other.of(self.layer.changed(forms=other.forms))

    def variables(self, site: CallSite) -> dict[str, Any]:
        return self.layer.variables(Use(*site, examples=self.inputs))

    def class_signature(self) -> tuple[Any, ...]:
        return self.layer.class_signature(*self.inputs)

    def shape_arguments(self) -> Mapping[str, Any]:
        return self.layer.shape_arguments(*self.inputs)

    def other_forms(self) -> frozenset[str]:
        return self.layer.other_forms(*self.inputs)

    def submodule_classes(self) -> Mapping[str, str]:
        return self.layer.submodule_classes()

    def output_layout(self, layout: str) -> str:
        return self.layer.output_layout(layout, *self.inputs)

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return self.layer.saved_for_backward(Use(self.inputs, self.output, examples=self.inputs, **step._asdict()))

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        return self.layer.element_size(sizes, precision)

    def cast_weights(self) -> int:
        return self.layer.cast_weights(*self.inputs)


def _reads_inplace(cls: type[AddedLayer]) -> bool:
    """Return True if the template variables of a layer depend on `inplace`."""
    methods: list[Any] = [cls.plan, cls.variables]
    return any("inplace" in getattr(m, "__wrapped__", m).__code__.co_names for m in methods)
