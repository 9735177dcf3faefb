"""What a layer is: one class that says its attributes, its shape rule, its cost and what its template prints."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from math import gcd, prod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, cast

from archdsl.core.grid import Grid, grid_text
from archdsl.core.sym import Sym, formula_of
from archdsl.layers.attributes import Attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from archdsl.core.values import Symbol
    from archdsl.layers.axes import Axis

L = TypeVar("L", bound="type[Layer]")
S = TypeVar("S", bound="Layer")

# Where the numbers of a value live in memory.
GRID = "grid"  # (B, C, T, H, W)
CHANNELS_LAST = "channels_last"  # (B, T, H, W, C)
VECTOR = "vector"  # (B, C): a grid of 1×1×1
TOKENS = "tokens"  # with class tokens, each first: (B, 1 + T·H·W, C) for a clip, (B, T, 1 + H·W, C) for frames
ANY_LAYOUT = (GRID, CHANNELS_LAST, VECTOR, TOKENS)  # for what works element by element, or asks `use.layout`


class ShapeError(Exception):
    """A layer cannot be applied to its input. Authors of layers raise it; the shape pass adds the places.

    `attribute` names the attribute to point at, `code` the kind of fault, `hint` a way to mend it.
    """

    def __init__(self, message: str, attribute: str = "", code: str = "E0506", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.attribute, self.code, self.hint = message, attribute, code, hint
        self.index: int | None = None  # of the element to point at, where the attribute is a list


FLOAT = 4  # bytes of a number in float32
HALF = 2  # bytes of a number in bfloat16 or float16


class Precision(NamedTuple):
    """What decides in training about the types of numbers, and about kernels that keep more or less."""

    half: bool = False  # whether torch.autocast is on, with bfloat16 or float16
    cuda: bool = False  # on a GPU; else on a CPU

    @property
    def product(self) -> int:
        """Bytes of a number in convolutions, linear layers and attention."""
        return HALF if self.half else FLOAT


PLAIN = Precision()


class Use(NamedTuple):
    """One place where a layer is applied, when its code is planned."""

    inputs: tuple[Grid, ...]
    output: Grid
    layout: str = GRID  # of the inputs
    inplace: bool = False  # whether the input's memory may be overwritten
    examples: tuple[Grid, ...] = ()  # the inputs in one place, for what `form` decides
    channels_last: bool = True  # whether the first input has its channels last in memory, whatever its layout
    batch: int = 2  # clips, in training
    precision: Precision = PLAIN
    number: int = FLOAT  # bytes of a number, as the layer computes
    cast: bool = False  # whether the first input has numbers of another size, so that autocast makes a copy


class Saved(NamedTuple):
    """What autograd keeps of a layer until its backward pass, besides weights and buffers."""

    inputs: bool = False  # as they are, in memory that another layer may keep, too
    output: bool = False
    own: int = 0  # bytes of tensors of its own, for each clip
    once: int = 0  # bytes of tensors of its own, however many clips there are


@dataclass(frozen=True)
class Shared:
    """An object that several layers use, such as the windows of a stage: the model makes it once, and hands it on.

    `template` prints its class with `options`; the class `name` is that of `base` or one derived from it.
    """

    name: str
    base: str
    template: str
    options: tuple[tuple[str, Any], ...]
    arguments: tuple[Any, ...]  # of the constructor


class Layer:
    """A primitive of the language. Subclasses declare attributes and `infer`; the rest has defaults.

    Shapes are `Grid`s without the batch. The numbers in them may be `Sym`s, which compute as numbers do, so a rule is
    written once, for checking, for the sizes that a module takes, and for the classes that are generated.
    """

    kind: ClassVar[str] = ""
    category: ClassVar[str] = ""
    many: ClassVar[bool] = False  # takes the results of several branches: `concat { a, b }`
    internal: ClassVar[bool] = False  # made by the compiler, not to be written in a spec
    module: ClassVar[bool] = False  # becomes a submodule, under its label
    heavy: ClassVar[bool] = False  # a convolution, a product: it starts a line of generated code
    torch_class: ClassVar[str] = ""  # of the submodule, for the initialisation
    imports: ClassVar[tuple[str, ...]] = ()  # what its code needs beyond `torch` and `nn`
    layouts: tuple[str, ...] = (GRID,)  # that its code takes its inputs in, the best first
    attributes: ClassVar[Mapping[str, Attribute[Any]]] = {}
    keeps_order: ClassVar[bool] = True  # whether its output has its channels last in memory if its inputs have
    forms: frozenset[str] = frozenset()  # of its `other_forms`, those that lowering chose for its code
    added_by: ClassVar[str] = ""  # the file of a layer that is none of archdsl's own

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def values(self) -> dict[str, Any]:
        """Every attribute's value, defaults included, in the order of declaration."""
        return {name: getattr(self, name) for name in self.attributes}

    def changed(self: S, **values: Any) -> S:
        """A copy with other values."""
        other = copy(self)
        other.__dict__.update(values)
        return other

    def infer(self, *inputs: Grid) -> Grid:
        """The output's shape. Raises ShapeError if the layer does not fit its input."""
        return inputs[0]

    def weights(self, *inputs: Grid) -> Mapping[str, tuple[int, ...]]:
        """The shapes of its trainable tensors, by their names in the module."""
        return {}

    def buffers(self, *inputs: Grid) -> Mapping[str, tuple[int, ...]]:
        """The shapes of the other tensors that a checkpoint holds, such as running statistics."""
        return {}

    def tensor_axes(self, *inputs: Grid) -> Mapping[str, tuple[Axis, ...]]:
        """Return the meaning of each axis of its tensors, by the tensors' names.

        A tensor that is named here can be brought to another size, so that a variant takes it over from another
        network. One that is not is copied where both shapes are equal, and otherwise begins as in a new module, except
        a vector with one number for each output channel.
        """
        return {}

    def is_module(self, *inputs: Grid) -> bool:
        """Whether it becomes a submodule."""
        return self.module

    def params(self, *inputs: Grid) -> int:
        """Trainable numbers."""
        return sum(prod(shape) for shape in self.weights(*inputs).values())

    def copied(self, *inputs: Grid) -> int:
        """Weights that autocast makes a copy of in 16 bits, as numbers."""
        return 0

    def macs(self, output: Grid, *inputs: Grid) -> int:
        """Multiply-adds of one clip, one multiply-add counting 1.

        Only products of convolutions, linear layers and attention count, as in the papers.
        """
        return 0

    def widest(self, *inputs: Grid) -> int:
        """Elements of the largest tensor in between that neither its output nor its weights bound, for one clip."""
        return 0

    def saved(self, use: Use) -> Saved:
        """What autograd keeps of it in training. Without a rule of its own, its inputs."""
        return Saved(inputs=True)

    def number(self, sizes: Sequence[int], precision: Precision) -> int:
        """Bytes of a number as it computes, and gives out, for inputs whose numbers have `sizes`.

        Where autocast names none of its operations, they take the type of the widest input.
        """
        return max(sizes)

    def is_view(self, *inputs: Grid) -> bool:
        """Whether its output lies in the memory of its first input."""
        return False

    def output_layout(self, layout: str, *inputs: Grid) -> str:
        """The layout of the output, for a first input in `layout`."""
        return layout

    def for_inference(self) -> Layer:
        """The layer as it is outside of training."""
        return self

    def is_identity(self, *inputs: Grid) -> bool:
        """Whether it changes nothing, so that no code is needed for it."""
        return False

    def plan(self, use: Use) -> dict[str, Any]:
        """What the template prints: numbers, tuples, strings, flags; every decision is made here."""
        return {}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        """How its tensors begin, where torch's own way is not meant: `{"weight": Symbol("msra")}`."""
        return {}

    def parts(self) -> Mapping[str, str]:
        """The torch class of each submodule that `inits` speaks of; "" is the layer's own module."""
        return {"": self.torch_class} if self.torch_class else {}

    def other_forms(self, *inputs: Grid) -> frozenset[str]:
        """Other forms of code that compute the same and may be faster, by the names of the passes that choose them."""
        return frozenset()

    def place(self, *inputs: Grid) -> Mapping[str, Any]:
        """What its constructor takes that follows from the size of its input at this place, by the parameters' names.

        Numbers, tuples of them, or `Shared` objects. The plan's template knows them, too.
        """
        return {}

    def form(self, *inputs: Grid) -> tuple[Any, ...]:
        """What its numbers decide about the form of its code: uses that differ in it share no class.

        The code of a layer without a module stands in a `forward`, which knows no parameters of a constructor.
        """
        return () if self.module else tuple(_plain(v) for v in self.values().values())


DECLARED: list[type[Layer]] = []  # in the order of their declaration


def layer(kind: str, *, category: str) -> Callable[[L], L]:
    """Declare a class as the layer `kind` of the language."""

    def register(cls: L) -> L:
        cls.kind, cls.category = kind, category
        cls.attributes = {
            k: v for base in reversed(cls.__mro__) for k, v in vars(base).items() if isinstance(v, Attribute)
        }
        DECLARED.append(cls)
        return cls

    return register


def known_to_be(value: int | tuple[int, ...], number: int) -> bool:
    """Whether a number, or all of several, is `number` in every use of a generated class."""
    values = value if isinstance(value, tuple) else (value,)
    return all(not isinstance(v, Sym) and v == number for v in values)


def compact(size: tuple[int, int, int]) -> int | tuple[int, int, int]:
    """A size as torch takes it: one number where all three are known to be the same."""
    same = len({formula_of(n) for n in size}) == 1
    return size[0] if same and formula_of(size[0])[0] != "item" else size


def _plain(value: Any) -> Any:
    """A value without its formula."""
    if isinstance(value, tuple):
        return tuple(_plain(v) for v in cast("tuple[Any, ...]", value))
    return int(value) if isinstance(value, Sym) else value


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
