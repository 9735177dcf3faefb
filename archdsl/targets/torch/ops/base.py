"""An op: how torch writes, initialises, runs and remembers a layer at one place of a network."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from archdsl.core.sym import Sym, formula_of
from archdsl.layers.base import Layer
from archdsl.targets.registry import Registry
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, GRID
from archdsl.targets.torch.ops.sites import SavedForBackward
from archdsl.targets.torch.ops.template import template_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from archdsl.core.grid import Grid
    from archdsl.targets.torch.ops.sites import CallSite, Precision, TrainingStep

L_co = TypeVar("L_co", bound=Layer, covariant=True)
O = TypeVar("O", bound="type[Op[Any]]")  # noqa: E741

OPS: Registry[Op[Any]] = Registry("archdsl.targets.torch.ops")


class Op(Generic[L_co]):
    """A layer as torch has it, at one place. A subclass says what is not as the defaults say.

    `inputs` and `output` are the shapes there, in whole numbers. Uses of a block share a class, so `variables` is also
    given the shapes in formulas of the parameters of that class, by the call site, and so are the attributes of the
    layer.
    """

    kind: ClassVar[str] = ""
    imports: tuple[str, ...] = ()  # lines that its code needs beyond `torch` and `nn`
    layouts: tuple[str, ...] = ()  # that its code takes its inputs in, the best first; see `accepted_layouts`
    torch_class: str = ""  # of its module, for the initialisation
    keeps_order: bool = True  # whether its output has its channels last in memory if its inputs have
    prefers_channels_last: bool = False  # whether it is faster on clips whose channels lie last in memory
    uses_tf32: bool = False  # whether torch computes it in TensorFloat-32 where float32 is asked for
    puts_channels_last: bool = False  # whether its output has its channels last in memory, whatever its input has
    overwrites: bool = False  # whether its code can put its output where its input is

    def __init__(self, layer: L_co, inputs: tuple[Grid, ...], output: Grid) -> None:
        self._layer = layer
        self.inputs, self.output = inputs, output
        self.forms: frozenset[str] = frozenset()  # of `other_forms`, those that passes chose for its code

    @property
    def layer(self) -> L_co:
        """The layer that it is the code of."""
        return self._layer

    def of(self, layer: Layer) -> Self:
        """Return the op at the same place of the same layer with other values of its attributes."""
        other: Any = copy(self)
        other._layer = layer
        return other

    def with_form(self, name: str) -> Self:
        """Return the op with another form of its code chosen."""
        other = copy(self)
        other.forms = self.forms | {name}
        return other

    # --- code ---

    @property
    def is_heavy(self) -> bool:
        """Whether it is a convolution or a matrix product, which starts a line of generated code."""
        return self.layer.heavy

    @property
    def is_module(self) -> bool:
        """Whether it becomes a submodule, under its label: if its template has the macro `module()`."""
        return "module" in template_of(self.layer).macros

    @property
    def role(self) -> str:
        """A word for what it does here, such as the axis that it works along; its code differs where this differs."""
        return ""

    def variables(self, site: CallSite) -> dict[str, Any]:
        """Return the variables of the template: numbers, texts, flags, None, and tuples of these.

        By default those of its attributes that the template names, and `channels`: those of the input.
        """
        return variables_of(self.layer, site.inputs)

    def class_signature(self) -> tuple[Any, ...]:
        """Return what its numbers decide about the form of its code: uses that differ in it share no class.

        The code of a layer without a module stands in a `forward`, which knows no parameters of a constructor.
        """
        return () if self.is_module else tuple(plain(v) for v in self.layer.values().values())

    def shape_arguments(self) -> Mapping[str, Any]:
        """Return the arguments of its constructor that follow from the shape of its input, by parameter.

        Numbers, tuples of them, or `SharedModule`s. They are variables of the template, too.
        """
        return {}

    def other_forms(self) -> frozenset[str]:
        """Return other forms of its code, which compute the same, by the names of the passes that choose them."""
        return frozenset()

    def submodule_classes(self) -> Mapping[str, str]:
        """Return the torch class of each submodule that `inits` speaks of; "" is the layer's own module."""
        return {"": self.torch_class} if self.torch_class else {}

    # --- memory ---

    @property
    def accepted_layouts(self) -> tuple[str, ...]:
        """The layouts that its code takes its inputs in: any, for a layer that works element by element."""
        return self.layouts or (ANY_LAYOUT if self.layer.elementwise else (GRID,))

    def output_layout(self, layout: str) -> str:
        """Return the layout of its output, for a first input in `layout`."""
        return layout

    @property
    def is_view(self) -> bool:
        """Whether its output lies in the memory of its first input."""
        return False

    def output_is_free(self, *, trains: bool) -> bool:
        """Return whether its output is a new tensor that its own backward pass does not need."""
        return False

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        """Return what autograd keeps of it in training: by default, its inputs."""
        return SavedForBackward(inputs=True)

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        """Return the element size of its computation and output, in bytes, for inputs of element sizes `sizes`.

        Autocast computes products in 16 bits. Where it names none of the operations, they take the widest input's type.
        """
        return precision.product if self.is_heavy else max(sizes)

    def cast_weights(self) -> int:
        """Return the number of weights that autocast copies to 16 bits."""
        return self.layer.params(*self.inputs) if self.is_heavy else 0


def op(kind: str) -> Callable[[O], O]:
    """Declare a class as the op of the layer `kind`."""

    def register(cls: O) -> O:
        cls.kind = kind
        OPS.declare(kind)(cls)
        return cls

    return register


def variables_of(layer: Layer, inputs: Sequence[Grid]) -> dict[str, Any]:
    """Return the attributes that the template of a layer names, and `channels`, those of the input, if it does so."""
    words = template_of(layer).words
    found = {"channels": inputs[0].channels} if "channels" in words else {}
    return found | {name: value for name, value in layer.values().items() if name in words}


def compact(size: tuple[int, int, int]) -> int | tuple[int, int, int]:
    """Return a size as torch takes it: one number where all three are known to be the same."""
    same = len({formula_of(n) for n in size}) == 1
    return size[0] if same and formula_of(size[0])[0] != "item" else size


def plain(value: Any) -> Any:
    """Return a value without its formula."""
    if isinstance(value, tuple):
        return tuple(plain(v) for v in cast("tuple[Any, ...]", value))
    return int(value) if isinstance(value, Sym) else value
