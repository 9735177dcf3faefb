"""A layer: one class that says its attributes, its shapes, its tensors, its cost and its traits."""

from __future__ import annotations

from copy import copy
from math import gcd, prod
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from archdsl.core.grid import Grid, grid_text
from archdsl.core.sym import Sym
from archdsl.layers.attributes import Attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from archdsl.core.values import Symbol
    from archdsl.layers.axes import Axis

L = TypeVar("L", bound="type[Layer]")
S = TypeVar("S", bound="Layer")

# Meanings of `Layer.joins`.
CHANNELS = "channels"  # the channels of all inputs stand behind each other
VALUES = "values"  # inputs of one shape are combined element by element

REGULARISATION = "regularisation"  # the category of layers that do nothing outside of training


class ShapeError(Exception):
    """A layer cannot be applied to its input. Authors of layers raise it; the shape pass adds the places.

    `attribute` names the attribute to point at, `code` the kind of fault, `hint` a way to mend it.
    """

    def __init__(self, message: str, attribute: str = "", code: str = "E0506", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.attribute, self.code, self.hint = message, attribute, code, hint
        self.index: int | None = None  # of the element to point at, where the attribute is a list


class Layer:
    """A primitive of the language. Subclasses declare what is not as the defaults say.

    Shapes are `Grid`s without the batch. The numbers in them may be `Sym`s, which compute as numbers do, so a rule is
    written once, for checking, for the sizes that a module takes, and for the classes that are generated.
    """

    kind: ClassVar[str] = ""
    category: ClassVar[str] = ""  # in diagrams, and in lists of what there is
    attributes: ClassVar[Mapping[str, Attribute[Any]]] = {}
    added_by: ClassVar[str] = ""  # the file of a layer that is none of archdsl's own

    # Traits: what other parts need to know of a layer, in place of its name.
    many: ClassVar[bool] = False  # takes the results of several branches: `concat { a, b }`
    internal: ClassVar[bool] = False  # made by the compiler, not to be written in a spec
    heavy: ClassVar[bool] = False  # a convolution or a matrix product: its output counts among the activations
    elementwise: ClassVar[bool] = False  # works element by element, whatever the shape
    takes_tokens: bool = False  # can be applied to a value with class tokens; so can what is elementwise
    training_only: ClassVar[bool] = False  # does nothing outside of training; so are those of `REGULARISATION`
    holds_indices: ClassVar[bool] = False  # its value holds numbers of frames, and is no grid
    joins: ClassVar[str] = ""  # what a layer with `many` does with its inputs: CHANNELS or VALUES
    hands_on_gradient: ClassVar[bool] = False  # the gradient of each input is that of the output, or a part of it
    drawn_as: ClassVar[str] = ""  # the sign for it in diagrams, if it joins values
    is_affine_in_inference: ClassVar[bool] = False  # with fixed statistics, a factor and a shift for each channel

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def values(self) -> dict[str, Any]:
        """Return the value of every attribute, defaults included, in the order of declaration."""
        return {name: getattr(self, name) for name in self.attributes}

    def changed(self: S, **values: Any) -> S:
        """Return a copy with other values."""
        other = copy(self)
        other.__dict__.update(values)
        return other

    def infer(self, *inputs: Grid) -> Grid:
        """Return the shape of the output.

        Raises:
            ShapeError: if the layer does not fit its input.
        """
        return inputs[0]

    def weights(self, *inputs: Grid) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of its trainable tensors, by their names in the module."""
        return {}

    def buffers(self, *inputs: Grid) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of the other tensors that a checkpoint holds, such as running statistics."""
        return {}

    def tensor_axes(self, *inputs: Grid) -> Mapping[str, tuple[Axis, ...]]:
        """Return the meaning of each axis of its tensors, by the tensors' names.

        A tensor that is named here can be brought to another size, so that a variant takes it over from another
        network. One that is not is copied where both shapes are equal, and otherwise begins as in a new module, except
        a vector with one number for each output channel.
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
        """Return the elements of the largest tensor inside, for one clip, if neither output nor weights bound it."""
        return 0

    def for_inference(self) -> Layer:
        """Return the layer as it is in inference."""
        return self

    def is_identity(self, *inputs: Grid) -> bool:
        """Return whether it changes nothing, so that no code is needed for it."""
        return False

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        """Return the initialisers of its tensors by their names, as in `{"weight": Symbol("msra")}`.

        A tensor that is not named begins in the target's usual way.
        """
        return {}

    def with_affine(self) -> Layer | None:
        """Return the layer that also multiplies each channel of its output and adds to it; None if there is none."""
        return None

    def maps_positions(self) -> bool:
        """Return whether it is a linear map of the channels of each position."""
        return False


DECLARED: list[type[Layer]] = []  # in the order of their declaration


def layer(kind: str, *, category: str) -> Callable[[L], L]:
    """Declare a class as the layer `kind` of the language."""

    def register(cls: L) -> L:
        cls.kind, cls.category = kind, category
        cls.takes_tokens = cls.takes_tokens or cls.elementwise
        cls.training_only = cls.training_only or category == REGULARISATION
        cls.attributes = {
            k: v for base in reversed(cls.__mro__) for k, v in vars(base).items() if isinstance(v, Attribute)
        }
        DECLARED.append(cls)
        return cls

    return register


def known_to_be(value: int | tuple[int, ...], number: int) -> bool:
    """Return whether a number, or all of several, is `number` in every use of a generated class."""
    values = value if isinstance(value, tuple) else (value,)
    return all(not isinstance(v, Sym) and v == number for v in values)


def slide(size: Grid, kernel: tuple[int, int, int], stride: tuple[int, int, int], padding: tuple[int, int, int]) -> Any:
    """The grid that a window of `kernel` leaves when it moves by `stride`: (n + 2p - k) // s + 1 on each axis.

    Raises:
        ShapeError: if the window is larger than the padded grid.
    """
    out = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(size.size, kernel, stride, padding, strict=True))
    for axis, k, p, o in zip("thw", kernel, padding, out, strict=True):
        if o < 1:
            grid = grid_text(size.size) + (f", padded by {int(p)}" if p else "")
            message = f"a kernel of {int(k)} over {axis} is larger than the grid of {grid}"
            hint = "use a smaller kernel or stride, fewer of them, or a larger clip"
            error = ShapeError(message, "kernel", "E0503", hint)
            error.index = "thw".index(axis)
            raise error
    return out


def grids_differ(first: Grid, other: Grid) -> str:
    """How the grids of two values differ; the shape pass adds which side can change, and how."""
    words = ("frames", "rows", "columns")
    pairs = [(int(a), int(b), w) for a, b, w in zip(first.size, other.size, words, strict=True) if a != b]
    return ", ".join(f"{a} and {b} {word}" for a, b, word in pairs)


def divisors(what: str, *numbers: int) -> str:
    """A help line: what divides all of some numbers."""
    common = gcd(*map(int, numbers))
    fit = [n for n in range(1, min(common, 4096) + 1) if common % n == 0]
    shown = [str(n) for n in fit] if len(fit) <= 12 else [*map(str, fit[:9]), "…", str(common)]
    return f"{what} that divide {' and '.join(dict.fromkeys(str(int(n)) for n in numbers))}: {', '.join(shown)}"


def __getattr__(name: str) -> Any:
    """Return a name that authors of added layers import from here and that belongs to a target.

    Raises:
        AttributeError: if no target has it.
    """
    from archdsl.layers.targets import author_names

    names = author_names()
    if name not in names:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return names[name]
