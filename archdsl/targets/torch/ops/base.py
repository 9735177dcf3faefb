"""An op: how torch writes, initialises, runs and remembers a layer at one place of a network."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from archdsl.layers.base import Layer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from archdsl.core.grid import Grid
    from archdsl.layers.base import Precision
    from archdsl.layers.base import Saved as SavedForBackward
    from archdsl.layers.base import Use as CallSite

L_co = TypeVar("L_co", bound=Layer, covariant=True)


class Op(Generic[L_co]):
    """A layer as torch has it, at one place.

    `inputs` and `output` are the shapes there, in whole numbers. Uses of a block share a class, so `variables` is also
    given shapes whose numbers are formulas of the parameters of that class, in the call site.
    """

    def __init__(self, layer: L_co, inputs: tuple[Grid, ...], output: Grid) -> None:
        self._layer = layer
        self.inputs, self.output = inputs, output
        self.forms: frozenset[str] = frozenset()  # of `other_forms`, those that passes chose for its code

    @property
    def layer(self) -> L_co:
        """The layer that it is the code of."""
        return self._layer

    @property
    def imports(self) -> tuple[str, ...]:
        """The lines that its code needs beyond those for `torch` and `nn`."""
        return self.layer.imports

    @property
    def layouts(self) -> tuple[str, ...]:
        """The layouts that its code takes its inputs in, the best first."""
        return self.layer.layouts

    @property
    def keeps_order(self) -> bool:
        """Whether its output has its channels last in memory if its inputs have."""
        return self.layer.keeps_order

    @property
    def is_heavy(self) -> bool:
        """Whether it is a convolution or a matrix product, which starts a line of generated code."""
        return self.layer.heavy

    def of(self, layer: Layer) -> Self:
        """Return the op at the same place of the same layer with other values of its attributes."""
        other: Any = copy(self)
        other._layer = layer
        return other

    def with_form(self, name: str) -> Self:
        """Return the op with another form of its code chosen."""
        other: Any = copy(self)
        other.forms = self.forms | {name}
        other._layer = self.layer.changed(forms=other.forms)
        return other

    @property
    def is_module(self) -> bool:
        """Whether it becomes a submodule, under its label."""
        return self.layer.is_module(*self.inputs)

    def variables(self, site: CallSite) -> dict[str, Any]:
        """Return the variables of the template: numbers, texts, flags, None, and tuples of these."""
        return self.layer.plan(site)

    def submodule_classes(self) -> Mapping[str, str]:
        """Return the torch class of each submodule that `inits` speaks of; "" is the layer's own module."""
        return self.layer.parts()

    def class_signature(self) -> tuple[Any, ...]:
        """Return what its numbers decide about the form of its code: uses that differ in it share no class."""
        return self.layer.form(*self.inputs)

    def shape_arguments(self) -> Mapping[str, Any]:
        """Return the arguments of its constructor that follow from the shape of its input, by parameter.

        Numbers, tuples of them, or `SharedModule`s. They are variables of the template, too.
        """
        return self.layer.place(*self.inputs)

    def other_forms(self) -> frozenset[str]:
        """Return other forms of its code, which compute the same, by the names of the passes that choose them."""
        return self.layer.other_forms(*self.inputs)

    def output_layout(self, layout: str) -> str:
        """Return the layout of its output, for a first input in `layout`."""
        return self.layer.output_layout(layout, *self.inputs)

    @property
    def is_view(self) -> bool:
        """Whether its output lies in the memory of its first input."""
        return self.layer.is_view(*self.inputs)

    def saved_for_backward(self, site: CallSite) -> SavedForBackward:
        """Return what autograd keeps of it until its backward pass."""
        return self.layer.saved(site)

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        """Return the element size of its computation and output, in bytes, for inputs of element sizes `sizes`."""
        return self.layer.number(sizes, precision)

    def cast_weights(self) -> int:
        """Return the number of weights that autocast copies to 16 bits."""
        return self.layer.copied(*self.inputs)
