"""Drawing from one seed: choices, numbers written as expressions, conditions of a known truth."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class Draw:
    """Random choices. `without` names features that are left out, so that others can be searched meanwhile."""

    def __init__(self, seed: object, without: Sequence[str] = ()) -> None:
        self.rng = Random(str(seed))  # a text is hashed alike in every process
        self.without = frozenset(without)
        self.names: dict[str, int] = {}  # parameters and variables that are whole numbers, where they are known
        self.flags: dict[str, bool] = {}

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
