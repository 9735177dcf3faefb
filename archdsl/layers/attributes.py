"""Types of layer attributes, which check and convert the values in a spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from archdsl.core.diagnostics import one_of
from archdsl.core.values import Symbol, Value, describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")
Size3 = tuple[int, int, int]
GRID = "grid"  # in the place of a name of tokens: the positions, without tokens

MAX_WHOLE = 10**9  # largest kernel, stride or width: libraries store many of them as 32-bit integers


class AttributeFault(Exception):
    """A value is not valid for an attribute."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint
        self.index: int | None = None  # of the faulty element of a list


class Attribute(Generic[T]):
    """An attribute of a layer: its type, its default if it is optional, and a line of documentation."""

    expects = "a value"
    words: tuple[str, ...] = ()  # the words that it accepts as values

    def __init__(self, default: Any = ..., doc: str = "") -> None:
        self.default = default
        self.doc = doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Attribute[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        return self if instance is None else self.default

    @property
    def required(self) -> bool:
        return self.default is ...

    def convert(self, value: Value) -> T:
        """Convert a value to the attribute's type.

        Raises:
            AttributeFault: if it has another type or is out of range.
        """
        raise NotImplementedError

    def wrong(self, value: Value) -> AttributeFault:
        return AttributeFault("E0301", f"expected {self.expects}, found {describe(value)}")


def whole(value: Value, expects: str) -> int:
    """Return a value as an integer.

    Raises:
        AttributeFault: if it is not an integer, or too large.
    """
    if isinstance(value, Fraction):
        raise AttributeFault("E0302", f"{describe(value)} is not a whole number", "use floor(), ceil() or round()")
    if isinstance(value, bool) or not isinstance(value, int):
        raise AttributeFault("E0301", f"expected {expects}, found {describe(value)}")
    if value > MAX_WHOLE:
        raise AttributeFault("E0703", f"expected at most {MAX_WHOLE:,}, found {describe(value)}")
    return value


class Integer(Attribute[int]):
    """An integer of at least `minimum`, or one of `among`."""

    expects = "a whole number"

    def __init__(self, default: Any = ..., *, minimum: int = 1, among: tuple[int, ...] = (), doc: str = "") -> None:
        super().__init__(default, doc)
        self.minimum = minimum
        self.among = among

    def convert(self, value: Value) -> int:
        number = whole(value, self.expects)
        if number < self.minimum:
            raise AttributeFault("E0305", f"expected at least {self.minimum}, found {int(number)}")
        if self.among and number not in self.among:
            raise AttributeFault("E0305", f"expected {' or '.join(map(str, self.among))}, found {int(number)}")
        return number


class Real(Attribute[float]):
    """A number from `low` to `high`, inclusive."""

    expects = "a number"

    def __init__(self, default: Any = ..., *, low: float = 0.0, high: float = float("inf"), doc: str = "") -> None:
        super().__init__(default, doc)
        self.low, self.high = low, high

    def convert(self, value: Value) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, Fraction)):
            raise self.wrong(value)
        number = float(value)
        if not self.low <= number <= self.high:
            endless = self.high == float("inf")
            limits = f"at least {self.low:g}" if endless else f"a number from {self.low:g} to {self.high:g}"
            raise AttributeFault("E0305", f"expected {limits}, found {describe(value)}")
        return number


class Numbers(Attribute[tuple[float, ...]]):
    """A list of numbers from `low` to `high`, inclusive; its length must be in `counts`, if given."""

    expects = "a list of numbers"

    def __init__(
        self,
        default: Any = ...,
        *,
        counts: tuple[int, ...] = (),
        low: float = 0.0,
        high: float = float("inf"),
        doc: str = "",
    ) -> None:
        super().__init__(default, doc)
        self.counts = counts
        self.element = Real(low=low, high=high)

    def convert(self, value: Value) -> tuple[float, ...]:
        if not isinstance(value, tuple):
            raise self.wrong(value)
        items: Sequence[Value] = cast("tuple[Value, ...]", value)
        if self.counts and len(items) not in self.counts:
            *most, last = map(str, self.counts)
            counts = f"{', '.join(most)} or {last}" if most else last
            raise AttributeFault("E0301", f"expected a list of {counts} numbers, found {describe(value)}")
        numbers: list[float] = []
        for index, item in enumerate(items):
            try:
                numbers.append(self.element.convert(item))
            except AttributeFault as fault:
                fault.index = index
                raise
        return tuple(numbers)


class Flag(Attribute[bool]):
    """`on` or `off`."""

    expects = "`on` or `off`"

    def convert(self, value: Value) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(value)
        return value


class Size(Attribute[Size3]):
    """A number for each of t, h and w: `[3, 7, 7]`, or one number for all three."""

    expects = "a number or a list [t, h, w]"

    def __init__(self, default: Any = ..., *, minimum: int = 1, doc: str = "") -> None:
        super().__init__((default,) * 3 if isinstance(default, int) else default, doc)
        self.minimum = minimum

    def convert(self, value: Value) -> Size3:
        if not isinstance(value, tuple):
            number = self._number(value, self.expects)
            return number, number, number
        items: Sequence[Value] = cast("tuple[Value, ...]", value)
        if len(items) != 3:
            pair = f"`[1, {describe(items[0])}, {describe(items[1])}]` has one for t" if len(items) == 2 else ""
            raise AttributeFault("E0301", f"expected three numbers [t, h, w], found {describe(value)}", pair)
        numbers: list[int] = []
        for index, item in enumerate(items):
            try:
                numbers.append(self._number(item, "a whole number"))
            except AttributeFault as fault:
                fault.index = index
                raise
        t, h, w = numbers
        return t, h, w

    def _number(self, value: Value, expects: str) -> int:
        number = whole(value, expects)
        if number < self.minimum:
            raise AttributeFault("E0305", f"expected at least {self.minimum}, found {int(number)}")
        return number


class Window(Size):
    """A size; `all` stands for the whole axis and is converted to 0."""

    expects = "a number, `all` or a list [t, h, w] of these"
    words = ("all",)

    def _number(self, value: Value, expects: str) -> int:
        return 0 if value == Symbol("all") else super()._number(value, expects)


class Choice(Attribute[str]):
    """One of a few words."""

    def __init__(self, *choices: str, default: Any = ..., doc: str = "") -> None:
        super().__init__(default, doc)
        self.choices = self.words = choices
        self.expects = one_of(choices)

    def convert(self, value: Value) -> str:
        if not isinstance(value, Symbol) or value.name not in self.choices or value.arguments:
            raise self.wrong(value)
        return value.name


_REFERRED = {  # what is referred to by name, and how it is declared
    "index": ("an input of frame indices", "input frame_index: index[frames]"),
    "boxes input": ("an input of boxes", "input boxes: boxes[10]"),
    "mask input": ("an input that is a mask", "input mask: mask[8, 14, 14]"),
}


class Reference(Attribute[str]):
    """The name of an input of a kind, which the layer reads in addition to its input."""

    def __init__(self, kind: str, default: Any = ..., doc: str = "") -> None:
        super().__init__(default, doc)
        self.kind = kind  # of the layer that is the input
        self.expects, self.example = _REFERRED[kind]

    def convert(self, value: Value) -> str:
        if not isinstance(value, str):
            raise self.wrong(value)
        return value


class TokenName(Attribute[str]):
    """The name of tokens beside a grid, which the spec chooses; `words` are names with a meaning of their own."""

    expects = "a name"

    def __init__(self, *words: str, doc: str = "") -> None:
        super().__init__(doc=doc)
        self.words = words

    def convert(self, value: Value) -> str:
        if not isinstance(value, Symbol) or value.arguments:
            raise self.wrong(value)
        if value.name == GRID and GRID not in self.words:
            raise AttributeFault("E0301", f"`{GRID}` stands for the positions", "choose another name")
        return value.name


# --- initialisers, with their arguments and requirements ---

STD = Real(low=0.0, high=1e6)
POSITIVE_STD = Real(low=1e-12, high=1e6)  # truncated distributions divide their limits by it


@dataclass(frozen=True)
class Rule:
    """The signature of an initialiser."""

    arguments: Mapping[str, Real | Integer] = field(default_factory=dict[str, Any])  # by their names in messages
    axes: int = 0  # minimum number of axes of a tensor: two for fan-in and fan-out, five for inflated kernels
    internal: bool = False  # chosen by the compiler, or by some layers alone


DEPTH_SCALED = "depth_scaled"  # a truncated normal distribution, divided by √(2n) in the n-th layer
RULES = {
    "msra": Rule(axes=2),
    "msra_transposed": Rule(axes=2, internal=True),
    "xavier": Rule(axes=2),
    "zeros": Rule(),
    "normal": Rule({"std": STD}),
    "trunc_normal": Rule({"std": POSITIVE_STD}),
    DEPTH_SCALED: Rule({"std": POSITIVE_STD, "layer": Integer()}),
    "central_frame": Rule({"std": POSITIVE_STD}, axes=5),
    "averaged_frames": Rule({"std": POSITIVE_STD}, axes=5),
    "constant": Rule({"value": Real(low=-1e6, high=1e6)}, internal=True),
    "axial_sinusoid": Rule(axes=2, internal=True),
    "uniform": Rule(internal=True),
}


class Initialiser(Attribute[Symbol]):
    """The initialiser of a tensor: a word, or a word with arguments, as in `normal(0.01)`.

    `unsuited` checks it against the tensors of its layer when their shapes are known.
    """

    axes = 2  # of the tensor; initialisers that need more axes are not accepted
    own: tuple[str, ...] = ()  # words that other layers do not accept

    def __init__(self, default: Any = ..., doc: str = "") -> None:
        super().__init__(default, doc)
        general = [name for name, rule in RULES.items() if rule.axes <= self.axes and not rule.internal]
        known = [*general, *self.own]
        self.words = tuple(known)
        *most, last = (f"`{name}({', '.join(a)})`" if (a := RULES[name].arguments) else f"`{name}`" for name in known)
        self.expects = f"{', '.join(most)} or {last}"

    def convert(self, value: Value) -> Symbol:
        if not isinstance(value, Symbol) or value.name not in self.words:
            raise self.wrong(value)
        arguments = RULES[value.name].arguments
        if len(arguments) != len(value.arguments):
            raise self.wrong(value)
        for (name, limits), argument in zip(arguments.items(), value.arguments, strict=True):
            try:
                limits.convert(argument)
            except AttributeFault as fault:
                meaning = "standard deviation" if name == "std" else name
                fault.message = f"the {meaning} of `{value.name}`: {fault.message}"
                fault.hint = fault.hint or ("layers are counted from 1, as by `index + 1`" if name == "layer" else "")
                raise
        return value


class WeightInitialiser(Initialiser):
    """The initialiser of the matrix of a linear layer, which can also begin uniformly, as in its usual modules."""

    own = ("uniform",)


class KernelInitialiser(WeightInitialiser):
    """The initialiser of a kernel, which can also inflate a 2D kernel over time (ViViT, section 3.4)."""

    axes = 5


class BiasInitialiser(Initialiser):
    """The initialiser of a bias; None, the default, is 0, and `uniform` beside such a weight."""

    axes = 1
    own = ("constant", "uniform")

    def __init__(self) -> None:
        super().__init__(None, doc="initialiser of the bias; without it `zeros`, or `uniform` beside such a weight")


def bias_start(weight: Symbol, bias: Symbol | None) -> Symbol:
    """Return how the bias beside a weight begins."""
    return bias or (weight if weight.name == "uniform" else Symbol("zeros"))


class PositionInitialiser(Initialiser):
    """The initialiser of vectors of positions, which can begin as sinusoids of the axes."""

    own = ("axial_sinusoid",)


def unsuited(inits: Mapping[str, Symbol], tensors: Mapping[str, tuple[int, ...]]) -> tuple[Symbol, str] | None:
    """Return the first initialiser that is not valid for its tensor, and the reason; None if all are valid.

    Args:
        inits: the initialisers of tensors, by name.
        tensors: the shapes of tensors, by name.
    """
    for name, symbol in inits.items():
        rule, shape = RULES[symbol.name], tensors.get(name)
        if shape is not None and len(shape) < rule.axes:
            actual = "a vector" if len(shape) == 1 else f"a tensor of {len(shape)} axes"
            return symbol, f"`{symbol.name}` needs a tensor of at least {rule.axes} axes, but this layer has {actual}"
    return None
