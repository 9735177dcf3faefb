"""Drawing from one seed: choices, numbers written as expressions, conditions of a known truth."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


@dataclass(frozen=True)
class FunctionKind:
    """A function of whole numbers: one, `x`, or two, of which `part` has a default."""

    name: str
    value: Callable[..., int]
    takes_two: bool


class Draw:
    """Random choices. `without` names features that are left out, so that others can be searched meanwhile."""

    def __init__(self, seed: object, without: Sequence[str] = ()) -> None:
        self.rng = Random(str(seed))  # a text is hashed alike in every process
        self.without = frozenset(without)
        self.names: dict[str, int] = {}  # parameters and variables that are whole numbers, where they are known
        self.flags: dict[str, bool] = {}
        self.functions: list[FunctionKind] = []  # of the file, where its parameters are known
        self.of_library = ""  # a function of the library whose blocks are drawn

    def chance(self, part: float = 0.5) -> bool:
        return self.rng.random() < part

    def has(self, feature: str, part: float = 1.0) -> bool:
        """Tell whether a feature is wanted here."""
        return self.rng.random() < part and feature not in self.without

    def pick(self, items: Sequence[T]) -> T:
        return items[self.rng.randrange(len(items))]

    def weighted(self, options: Sequence[tuple[float, T]]) -> T:
        return self.rng.choices([o for _, o in options], [w for w, _ in options])[0]

    def whole(self, low: int, high: int) -> int:
        return self.rng.randint(low, high)

    # --- expressions ---

    def number(self, value: int, plain: float = 0.7) -> str:
        """An expression with a known value, which can stand alone or as an argument."""
        if self.chance(plain):
            return str(value)
        return self.pick(_FORMS)(self, value)

    def operand(self, value: int, plain: float = 0.7) -> str:
        """The same beside an operator or an index."""
        text = self.number(value, plain)
        return text if text.replace("_", "").isalnum() else f"({text})"

    def condition(self, truth: bool, plain: float = 0.3) -> str:
        if self.chance(plain):
            return "on" if truth else "off"
        return self.pick(_CONDITIONS)(self, truth)

    def flag(self, truth: bool) -> str:
        """A bool as an argument."""
        known = [n for n, v in self.flags.items() if v is truth]
        return self.pick(known) if known and self.chance(0.4) else "on" if truth else "off"


FUNCTIONS: list[tuple[str, Callable[..., int]]] = [
    (
        "let {}(x, part = 2) = max(part, (x + part/2) // part * part)",
        lambda x, part=2: max(part, (2 * x + part) // (2 * part) * part),
    ),
    ("let {}(x) = x ** 2 - x", lambda x: x**2 - x),
    ("let {}(x, part: int = x % 3) = x + part if x > part else part - x", lambda x, part=None: abs_or_sum(x, part)),
]


def abs_or_sum(x: int, part: int | None) -> int:
    """The third function: a sum, or a difference that is not negative."""
    part = x % 3 if part is None else part
    return x + part if x > part else part - x


def function(d: Draw, name: str) -> str:
    """A function, which is known from now on."""
    if d.functions and d.chance(0.3):
        inner = d.pick(d.functions)
        d.functions.append(FunctionKind(name, lambda x: inner.value(x) + 1, takes_two=False))
        return f"let {name}(x) = {inner.name}(x) + 1"
    text, value = d.pick(FUNCTIONS)
    d.functions.append(FunctionKind(name, value, takes_two="part" in text))
    return text.format(name)


def _by_function(d: Draw, value: int) -> str:
    if not d.functions:
        return f"{value}"
    kind, x, part = d.pick(d.functions), d.whole(0, 9), d.whole(1, 4)
    if kind.takes_two and d.chance():
        text, found = f"{kind.name}({d.pick(['', 'x = '])}{x}, part = {part})", kind.value(x, part)
    else:
        text, found = f"{kind.name}({x})", kind.value(x)
    return text if found == value else f"{text} + {value - found}" if found < value else f"{text} - {found - value}"


def _by_name(d: Draw, value: int) -> str:
    if not d.names:
        return f"{value}"
    name = d.pick(list(d.names))
    known = d.names[name]
    if known == value:
        return name
    if known and value % known == 0 and d.chance():
        return f"{value // known} * {name}"
    if value and known % value == 0 and d.chance():
        return f"{name} // {known // value}"
    return f"{name} + {value - known}" if value > known else f"{name} - {known - value}"


def _chosen(d: Draw, value: int) -> str:
    truth = d.chance()
    other = d.whole(1, 9)
    one, two = (value, other) if truth else (other, value)
    return f"{one} if {d.condition(truth)} else {two}"


def _listed(d: Draw, value: int) -> str:
    items = [d.whole(1, 9) for _ in range(d.whole(1, 3))]
    at = d.whole(0, len(items))
    items.insert(at, value)
    index = at if d.chance(0.7) else at - len(items)
    return f"{items}[{index if index < 0 else d.number(index)}]"


_FORMS: list[Callable[[Draw, int], str]] = [
    _by_name,
    _by_name,
    _by_name,
    _by_function,
    _by_function,
    _chosen,
    _listed,
    lambda d, v: f"max({v}, {d.whole(0, max(0, v))})",
    lambda d, v: f"min({d.operand(v)}, {v + d.whole(0, 5)})",
    lambda _, v: f"{2 * v} / 2",
    lambda _, v: f"{v * 4} * 2 ** -2",
    lambda _, v: f"{v} ** 1",
    lambda _, v: f"{round(v**0.5)} ** 2" if v >= 0 and round(v**0.5) ** 2 == v else f"{v} - 0 ** 2",
    lambda _, v: f"{v * 3} * 1/3",
    lambda d, v: f"floor({v} + 1/{d.whole(2, 9)})",
    lambda _, v: f"ceil({v} - 2/3)",
    lambda d, v: f"round({v}.{d.whole(0, 4)})",
    lambda _, v: f"({2 * v + 1}) // 2",
    lambda _, v: f"{v + 100} % 100" if v < 100 else f"{v}",
    lambda d, v: f"sum([{v}, {d.whole(0, 3)}, 0]) - 0" if v < 0 else f"sum([{v - v // 2}, {v // 2}])",
    lambda _, v: f"len([x for x in 1..{v}])" if 0 < v < 40 else f"{v}",
    lambda _, v: f"max([{v}, 1])" if v > 0 else f"{v}",
    lambda d, v: f"({v} + {d.operand(3, 0.5)}) - 3",
]


def _comparison(d: Draw, truth: bool) -> str:
    name = d.pick(list(d.names)) if d.names and d.chance(0.7) else str(d.whole(1, 9))
    known = d.names.get(name, None) if name in d.names else int(name)
    assert known is not None
    above, below = known + d.whole(1, 5), known - d.whole(1, 5)
    right = [f"== {known}", f"<= {known}", f"< {above}", f"> {below}", f">= {known}", f"!= {above}"]
    wrong = [f"!= {known}", f"< {known}", f"> {known}", f">= {above}", f"== {above}", f"<= {below}"]
    if d.chance(0.2):
        return f"{name} in [{known}, {above}]" if truth else f"{name} in [{above}, {below}]"
    return f"{name} {d.pick(right if truth else wrong)}"


def _by_flag(d: Draw, truth: bool) -> str:
    if not d.flags:
        return "on" if truth else "off"
    name = d.pick(list(d.flags))
    return name if d.flags[name] is truth else f"not {name}"


_CONDITIONS: list[Callable[[Draw, bool], str]] = [
    _comparison,
    _comparison,
    _by_flag,
    lambda _, truth: f"not {'off' if truth else 'on'}",
    lambda d, truth: f"({_comparison(d, truth)}) {'and on' if truth else 'or off'}",
    lambda d, truth: (
        f"{'on' if d.chance() else 'off'} or {_comparison(d, True)}" if truth else f"off and {d.flag(True)}"
    ),
]


def written(value: Any) -> str:
    """A value as a spec has it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"[{', '.join(map(written, value))}]" if isinstance(value, list | tuple) else str(value)
