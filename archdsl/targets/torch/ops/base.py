"""Ops: the code, initialisation, execution and activation memory of a layer at one place of a network, in PyTorch."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar, cast

from archdsl.core.sym import Sym, formula_of
from archdsl.layers.base import Layer
from archdsl.targets.registry import Registry
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, GRID
from archdsl.targets.torch.ops.sites import FLOAT, SavedForBackward
from archdsl.targets.torch.ops.template import template_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from archdsl.core.grid import Grid
    from archdsl.targets.torch.ops.sites import CallSite, Precision, Printer, TrainingStep

L_co = TypeVar("L_co", bound=Layer, covariant=True)
O = TypeVar("O", bound="type[Op[Any]]")  # noqa: E741

OPS: Registry[Op[Any]] = Registry("archdsl.targets.torch.ops")


class RateArgument(NamedTuple):
    """An argument of the factory: a choice of training about the rate `p` of all modules of a class."""

    name: str
    module: str  # the class
    doc: str  # its effect, as a sentence
    switch: bool = False  # it turns the rates off; otherwise it is the rate, which all modules share


class Op(Generic[L_co]):
    """The PyTorch implementation of a layer at one place of a network; subclasses override the defaults.

    `inputs` and `output` are the shapes at this place, as plain integers. Calls of a block share a class, so that for
    `variables` the shapes of the call site and the attributes of the layer are formulas of that class's parameters.
    """

    kind: ClassVar[str] = ""
    imports: tuple[str, ...] = ()  # import statements that its code needs besides `torch`, `nn` and `F`
    layouts: tuple[str, ...] = ()  # layouts that its code accepts, the best first; see `accepted_layouts`
    torch_class: str = ""  # class of its module, for weight initialisation
    keeps_order: bool = True  # its output is channels-last in memory if its inputs are
    prefers_channels_last: bool = False  # it is faster on clips that are channels-last in memory
    uses_tf32: bool = False  # torch computes it in TensorFloat-32 where float32 is requested
    puts_channels_last: bool = False  # its output is channels-last in memory, whatever its input
    overwrites: bool = False  # its code can work in place
    saves_inputs: bool = True  # its backward pass needs its inputs, unless it is a view of them
    has_own_vectors: bool = False  # it adds, joins or weighs by vectors of its own, so that its output is in float32
    for_heads: bool = False  # in a line of attention, it is applied to all heads at once
    rate_argument: ClassVar[RateArgument | None] = None

    def __init__(self, layer: L_co, inputs: tuple[Grid, ...], output: Grid) -> None:
        self._layer = layer
        self.inputs, self.output = inputs, output
        self.forms: frozenset[str] = frozenset()  # those of `other_forms` that passes have chosen

    @property
    def layer(self) -> L_co:
        """The layer that it implements."""
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
        """True for a convolution or a matrix product, which starts a line of generated code."""
        return self.layer.heavy

    @property
    def is_module(self) -> bool:
        """True if it becomes a submodule, under its label: if its template has the macro `module()`."""
        return "module" in template_of(self.layer).macros

    @property
    def turns(self) -> bool:
        """True if it is applied to a value whose frames and positions are in each other's place."""
        return False

    @property
    def role(self) -> str:
        """The role of the op, such as the axes that it attends over; ops with different roles have different code."""
        return ""

    @property
    def spanned_role(self) -> str:
        """The role by the axes that have more than one position here, where `role` says axes."""
        return self.role

    @property
    def form_word(self) -> str | None:
        """A word for the form of its code that sets names of classes apart, such as `Window`; "" for the plain one."""
        return None

    def variables(self, site: CallSite) -> dict[str, Any]:
        """Return the variables of the template: numbers, strings, flags, None, and tuples of these.

        By default the attributes that the template names, and `channels`, those of the input.
        """
        return variables_of(self.layer, site.inputs)

    def inside(
        self, printer: Printer, site: CallSite, variables: dict[str, Any], write: Callable[[Any], Any]
    ) -> dict[str, Any]:
        """Return further variables of the template, for the code of layers that it is made of; none by default.

        `variables` are the others, as code; `write` returns a number of the call site as code.
        """
        return {}

    def numbers(self) -> Mapping[str, Any]:
        """Return the numbers of layers inside, by name: those that differ between its places become parameters."""
        return {}

    def class_values(self) -> Mapping[str, Any]:
        """Return the attributes whose words and flags determine its code."""
        return self.layer.values()

    def class_signature(self) -> tuple[Any, ...]:
        """Return the values that determine the form of its code: calls that differ in them do not share a class.

        The code of a layer without a module is part of a `forward`, where constructor parameters are not available.
        """
        return () if self.is_module else tuple(plain(v) for v in self.layer.values().values())

    def shape_arguments(self) -> Mapping[str, Any]:
        """Return the constructor arguments that follow from its input shape, by parameter.

        Values are numbers, tuples of them, or `SharedModule`s. They are variables of the template, too.
        """
        return {}

    def other_forms(self) -> frozenset[str]:
        """Return alternative, equivalent forms of its code, by the names of the passes that choose them."""
        return frozenset()

    def submodule_classes(self) -> Mapping[str, str]:
        """Return the torch class of each submodule that `inits` names; "" is the layer's own module."""
        return {"": self.torch_class} if self.torch_class else {}

    # --- memory ---

    @property
    def accepted_layouts(self) -> tuple[str, ...]:
        """The layouts of inputs that its code accepts: any, for an elementwise layer."""
        return self.layouts or (ANY_LAYOUT if self.layer.elementwise else (GRID,))

    def output_layout(self, layout: str) -> str:
        """Return the layout of its output, for a first input in `layout`."""
        return layout

    @property
    def is_view(self) -> bool:
        """True if its output shares the memory of its first input."""
        return False

    @property
    def by_frames(self) -> bool:
        """True if its output's frames come before its channels in memory, where it is not channels-last."""
        return False

    def output_is_free(self, *, trains: bool) -> bool:
        """Return True if its output is a new tensor that its own backward pass does not need."""
        return False

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        """Return the tensors that autograd saves for its backward pass."""
        return SavedForBackward(inputs=self.saves_inputs and not self.is_view)

    def element_size(self, sizes: Sequence[int], precision: Precision) -> int:
        """Return the element size of its computation and output, in bytes, for inputs of element sizes `sizes`.

        Autocast computes products in 16 bits. Operations on none of its lists compute in their widest input dtype.
        """
        if self.has_own_vectors:
            return FLOAT
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
    channels = {"channels": inputs[0].channels} if "channels" in words else {}
    return channels | {name: value for name, value in layer.values().items() if name in words}


def compact(size: tuple[int, int, int]) -> int | tuple[int, int, int]:
    """Return a size as an argument for torch: one number if all three are known to be equal."""
    same = len({formula_of(n) for n in size}) == 1
    return size[0] if same and formula_of(size[0])[0] != "item" else size


def plain(value: Any) -> Any:
    """Return a value without its formula."""
    if isinstance(value, tuple):
        return tuple(plain(v) for v in cast("tuple[Any, ...]", value))
    return int(value) if isinstance(value, Sym) else value


def row_size(x: Grid) -> tuple[int, ...]:
    """Return the sizes of a grid for `unflatten`: -1 for a row, as masks leave it, whose length calls can change."""
    t, h, w = map(int, x.size)
    return (t, h, -1) if t == h == 1 < w else (t, h, w)
