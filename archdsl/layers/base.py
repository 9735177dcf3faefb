"""Base class of layers, which declare attributes, shape inference, tensors, cost and traits."""

from __future__ import annotations

from copy import copy
from math import gcd, prod
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from archdsl.core.grid import Grid, grid_text
from archdsl.core.sym import Sym
from archdsl.layers.attributes import Attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from archdsl.core.values import Symbol
    from archdsl.layers.attributes import Size3
    from archdsl.layers.axes import Axis

L = TypeVar("L", bound="type[Layer]")
S = TypeVar("S", bound="Layer")

# Meanings of `Layer.joins`.
CHANNELS = "channels"  # the channels of all inputs are concatenated
VALUES = "values"  # inputs of one shape are combined elementwise

REGULARISATION = "regularisation"  # the category of layers without an effect in inference


class ShapeError(Exception):
    """A layer cannot be applied to its input. Authors of layers raise it; shape inference adds the locations.

    `attribute` names the attribute that the message points at; `code` is the code of the diagnostic, `hint` its hint.
    """

    def __init__(self, message: str, attribute: str = "", code: str = "E0506", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.attribute, self.code, self.hint = message, attribute, code, hint
        self.index: int | None = None  # of the element to point at, if the attribute is a list


class Layer:
    """A primitive of the language. Subclasses override the defaults.

    Shapes are `Grid`s without the batch axis. Sizes may be symbolic (`Sym`), so that a single shape rule serves for
    checks, for the clip sizes that a module accepts, and for generated classes.
    """

    kind: ClassVar[str] = ""
    category: ClassVar[str] = ""  # determines the colour in diagrams, and the group in listings
    attributes: ClassVar[Mapping[str, Attribute[Any]]] = {}
    written_as: ClassVar[str] = ""  # the name of its op and template, if another than `kind`
    added_by: ClassVar[str] = ""  # the file of an added layer; empty for archdsl's own

    # Traits: properties by which other code treats layers, instead of their names.
    many: ClassVar[bool] = False  # has several branches as inputs: `concat { a, b }`
    internal: ClassVar[bool] = False  # inserted by the compiler, not available in specs
    heavy: ClassVar[bool] = False  # a convolution or a matrix product: its output counts as activations
    elementwise: ClassVar[bool] = False  # computes elementwise, for any shape
    takes_tokens: bool = False  # accepts a value with tokens; elementwise layers always do
    passes_tokens: ClassVar[bool] = False  # `NAME { chain }`: the chain has the positions, the layer adds the tokens
    training_only: ClassVar[bool] = False  # has no effect in inference; always True in the category `REGULARISATION`
    width: ClassVar[str] = ""  # the attribute for the number of output channels, if the spec chooses it
    argument_axes: ClassVar[tuple[str, ...]] = ()  # of an input: those of the module's argument, behind the batch
    by_name: ClassVar[bool] = False  # an input that layers refer to by name, and that no chain begins with
    joins: ClassVar[str] = ""  # how a layer with `many` combines its inputs: CHANNELS or VALUES
    ignores_input: ClassVar[bool] = False  # its output depends on no value of its input
    hands_on_gradient: ClassVar[bool] = False  # the gradient of each input is the output's gradient, or a slice of it
    drawn_as: ClassVar[str] = ""  # its symbol in diagrams, if it combines values
    is_affine_in_inference: ClassVar[bool] = False  # in inference, a scale and a shift per channel
    projects: ClassVar[bool] = False  # in a line of branches, its tensors are called by the branches alone
    of_one_head: ClassVar[bool] = False  # in a line, is meant for the channels of one head
    pools_channels: ClassVar[bool] = False  # treats each channel on its own, all alike, so that no head differs
    treats_positions_alone: bool = False  # not linearly, as `maps_positions` says; elementwise layers always do
    exclusive: ClassVar[tuple[str, ...]] = ()  # attributes of which a call gives one at most
    takes_lines: ClassVar[bool] = False  # its inputs can be written a line at a time: `attention(8) { q: linear(64) }`

    @property
    def channels_are_frames(self) -> bool:
        """True if its output has a channel for each frame of its input."""
        return False

    @property
    def channels_are_positions(self) -> bool:
        """True if its output has a channel for each position of a frame of its input."""
        return False

    @property
    def reads_clip(self) -> bool:
        """True if, with an input that it names, it also gets the clip that this belongs to."""
        return False

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def values(self) -> dict[str, Any]:
        """Return the value of every attribute, defaults included, in the order of declaration."""
        return {name: getattr(self, name) for name in self.attributes}

    def changed(self: S, **values: Any) -> S:
        """Return a copy with other attribute values."""
        other = copy(self)
        other.__dict__.update(values)
        return other

    def has_code_of(self, other: Layer) -> bool:
        """Return True if a module of another layer of its kind, with the same weights, can compute it, too."""
        return self.values() == other.values()

    def infer(self, *inputs: Grid) -> Grid:
        """Return the shape of the output.

        Raises:
            ShapeError: if the layer cannot be applied to its inputs.
        """
        return inputs[0]

    def weights(self, *inputs: Grid) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of its trainable tensors, by name in the module."""
        return {}

    def buffers(self, *inputs: Grid) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of its other tensors in the state dict, such as running statistics."""
        return {}

    def tensor_axes(self, *inputs: Grid) -> Mapping[str, tuple[Axis, ...]]:
        """Return the meaning of each axis of its tensors, by the tensors' names.

        A weight transfer can adapt the tensors in this dict to another size. Other tensors are copied if the shapes are
        equal, and initialised as in a new module otherwise, except vectors with one element per output channel.
        """
        return {}

    def owner(self, tensor: str) -> tuple[Layer, str]:
        """Return the layer that a tensor belongs to, and its name there: another one if it is made of layers."""
        return self, tensor

    def stored_as(self) -> Mapping[str, str]:
        """Return what is computed of tensors before they are used, by name, as in `{"weight": "1 + weight"}`.

        A weight transfer between layers that differ in this converts the values, or makes them as in a new module.
        """
        return {}

    def params(self, *inputs: Grid) -> int:
        """Return the number of its trainable parameters."""
        return sum(prod(shape) for shape in self.weights(*inputs).values())

    def macs(self, output: Grid, *inputs: Grid) -> int:
        """Return the multiply-adds of one clip; a multiply-add is two FLOPs.

        Only products of convolutions, linear layers and attention count, as in the papers.
        """
        return 0

    def widest(self, *inputs: Grid) -> int:
        """Return the elements of the largest internal tensor of one clip, if larger than output and weights."""
        return 0

    def for_inference(self) -> Layer:
        """Return the layer for inference."""
        return self

    def doubt(self, *inputs: Grid) -> str:
        """Return a remedy if the layer is valid, but computes what is hardly meant; otherwise an empty string."""
        return ""

    def is_identity(self, *inputs: Grid) -> bool:
        """Return True if its output equals its input, so that it needs no code."""
        return False

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        """Return the initialisers of its tensors by name, as in `{"weight": Symbol("msra")}`.

        Other tensors have the target's default initialisation.
        """
        return {}

    def with_affine(self) -> Layer | None:
        """Return the layer with room for a folded scale and shift per output channel; None if that is impossible."""
        return None

    def maps_positions(self) -> bool:
        """Return True if it is the same linear map of the channels at each position."""
        return False

    def parts_branches(self) -> bool:
        """Return True if each branch of a line has outputs of its own, of one tensor with rows for each branch."""
        return self.maps_positions()

    def filters_channels(self, *inputs: Grid) -> bool:
        """Return True if it has one filter per channel, so that a tensor can hold those of several branches."""
        return False

    def reads_places(self) -> bool:
        """Return True if it depends on where positions are: on neighbours, or on coordinates."""
        return any(k > 1 for k in self.values().get("kernel", ()))

    def shared_by_heads(self, heads: int, parts: int) -> Layer | None:
        """Return the same layer for all heads of `parts` values at once, if it filters the channels of one head.

        None if there is none: then its code treats each head as a clip.
        """
        return None

    def layers_inside(self) -> Sequence[Layer]:
        """Return the layers that it is made of; none, unless it is written in lines."""
        return ()

    def operands(self) -> int:
        """Return the number of values that its code is applied to, at the least."""
        return 2 if self.many else 1

    def selects_all(self, *inputs: Grid) -> bool:
        """Return True if it selects a part of its input that is all of it; lines take such a layer for no layer."""
        return False


DECLARED: list[type[Layer]] = []  # in the order of their declaration


def layer(kind: str, *, category: str) -> Callable[[L], L]:
    """Declare a class as the layer `kind` of the language."""

    def register(cls: L) -> L:
        cls.kind, cls.category = kind, category
        cls.takes_tokens = cls.takes_tokens or cls.elementwise
        cls.treats_positions_alone = cls.treats_positions_alone or cls.elementwise
        cls.training_only = cls.training_only or category == REGULARISATION
        cls.attributes = {
            k: v for base in reversed(cls.__mro__) for k, v in vars(base).items() if isinstance(v, Attribute)
        }
        DECLARED.append(cls)
        return cls

    return register


def known_to_be(value: int | tuple[int, ...], number: int) -> bool:
    """Return True if a value, or every element of a tuple, is `number` in every use of a generated class."""
    values = value if isinstance(value, tuple) else (value,)
    return all(not isinstance(v, Sym) and v == number for v in values)


def slide(size: Grid, kernel: Size3, stride: Size3, padding: Size3) -> Any:
    """Return the output size (t, h, w) of a sliding window: (n + 2p - k) // s + 1 on each axis.

    Raises:
        ShapeError: if the window is larger than the padded grid.
    """
    out = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(size.size, kernel, stride, padding, strict=True))
    check_window(size, kernel, out, [2 * p for p in padding])
    return out


def check_window(
    size: Grid, kernel: Size3, out: tuple[int, ...], padding: Sequence[int], dilation: Size3 = (1, 1, 1)
) -> None:
    """Refuse a sliding window without a place, where `out` is below 1; `padding` is that of both sides together.

    Raises:
        ShapeError: if there is none.
    """
    axis = next((axis for axis, o in enumerate(out) if o < 1), None)
    if axis is None:
        return
    k, d, p = int(kernel[axis]), int(dilation[axis]), int(padding[axis])
    grid = grid_text(size.size) + (f", padded by {p // 2 if p % 2 == 0 else f'{p} in all'}" if p else "")
    apart = f", with a dilation of {d}," if d > 1 else ""
    message = f"a kernel of {k} over {'thw'[axis]}{apart} is larger than the grid of {grid}"
    ends = zip(size.size, kernel, dilation, padding, strict=True)
    fitting = [max(1, min(int(k), (int(n + p) - 1) // int(d) + 1)) for n, k, d, p in ends]
    hint = f"`kernel = {fitting}` fits; or use smaller strides before it, or a larger clip"
    error = ShapeError(message, "kernel", "E0503", hint)
    error.index = axis
    raise error


def check_groups(groups: int, entering: int, leaving: int) -> None:
    """Refuse groups of channels that do not divide those that enter and leave a layer.

    Raises:
        ShapeError: if they do not.
    """
    for what, channels in (("input", entering), ("output", leaving)):
        if channels % groups:
            message = f"{int(channels)} {what} channels cannot be split into {int(groups)} groups"
            hint = divisors("groups", entering, leaving, nearest=groups)
            raise ShapeError(message, "groups", "E0504", hint)


def grids_differ(first: Grid, other: Grid) -> str:
    """Return the sizes in which two grids differ, as text: `8 and 4 frames`."""
    words = ("frames", "rows", "columns")
    pairs = [(int(a), int(b), w) for a, b, w in zip(first.size, other.size, words, strict=True) if a != b]
    return ", ".join(f"{a} and {b} {word}" for a, b, word in pairs)


def divisors(what: str, *numbers: int, nearest: int = 0) -> str:
    """Return a hint that lists the common divisors of some numbers, and the attribute with those beside `nearest`."""
    common = gcd(*map(int, numbers))
    fit = [n for n in range(1, min(common, 4096) + 1) if common % n == 0]
    shown = [str(n) for n in fit] if len(fit) <= 12 else [*map(str, fit[:9]), "…", str(common)]
    listed = f"{what} that divide {' and '.join(dict.fromkeys(str(int(n)) for n in numbers))}: {', '.join(shown)}"
    beside = [max((n for n in fit if n < nearest), default=0), min((n for n in fit if n > nearest), default=0)]
    near = " or ".join(f"`{what} = {n}`" for n in beside if n)
    return f"{listed}; the nearest: {near}" if nearest and near else listed


def __getattr__(name: str) -> Any:
    """Return a name of a target that authors of added layers import from this module.

    Raises:
        AttributeError: if no target has it.
    """
    names: Mapping[str, Any] = {}
    if not name.startswith("__"):  # every `from archdsl.layers.base import` looks up names such as `__path__`
        from archdsl.layers.targets import author_names

        names = author_names()
    if name not in names:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return names[name]
