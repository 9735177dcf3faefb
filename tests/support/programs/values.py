"""Values, places and blocks as the generator knows them, and numbers, conditions and rates that fit a place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from programs.draw import Draw, written

if TYPE_CHECKING:
    from collections.abc import Callable

Grid = tuple[int, int, int]
Move = tuple[int, int, int]  # a step over t, h and w: n positions become ⌈n / step⌉
STILL: Move = (1, 1, 1)


@dataclass(frozen=True)
class State:
    """A value in hand, as far as the generator knows it."""

    text: str | None = "in.channels"  # an expression for its channels that holds at this place
    channels: int | None = None
    grid: Grid | None = None
    token: str = ""
    origin: str = ""  # of a grid that is not known: where it comes from, and the steps that it has been moved by
    steps: Move = STILL

    def moved(self, move: Move) -> State:
        if self.grid is not None:
            t, h, w = (-(-n // s) for n, s in zip(self.grid, move, strict=True))
            return replace(self, grid=(t, h, w))
        t, h, w = (n * s for n, s in zip(self.steps, move, strict=True))
        return replace(self, steps=(t, h, w))

    def fits(self, other: State) -> bool:
        """Tell whether two values lie on the same grid, with the same class tokens."""
        return (self.grid, self.token, self.origin, self.steps) == (other.grid, other.token, other.origin, other.steps)

    def lost(self, origin: str) -> State:
        """The same, of another grid that is not known."""
        return replace(self, text=None, channels=None, grid=None, origin=origin, steps=STILL)

    def with_channels(self, text: str | None, channels: int | None = None) -> State:
        if channels is None and text is not None and text.isdigit():
            channels = int(text)
        return replace(self, text=text, channels=channels)


@dataclass(frozen=True)
class BlockKind:
    """A block that chains can call."""

    name: str
    parameters: tuple[tuple[str, str], ...]  # name and role: width, kernel, stride, flag, count, rate, list, value
    defaults: frozenset[str]  # parameters that can be left out
    channels: str  # what comes out: `width`, the parameter; `same`; `free`
    moves: str  # `still`; `stride`, by the parameter; or `down`, by 2 over h and w
    tokens: bool  # whether a class token may come along
    fits: str = "any"  # the least grid that it works on
    alternates: bool = False  # its flag chooses whether it has code, or another layout

    @property
    def reads(self) -> bool:
        """Whether it takes another value, on the grid of that which enters."""
        return "value" in dict(self.parameters).values()


@dataclass(frozen=True)
class Place:
    """The position of a chain in the program."""

    values: dict[str, State] = field(default_factory=dict[str, State])  # that chains can begin with
    names: tuple[str, ...] = ()  # whole numbers of a value that is not known: parameters of the block, loop variables
    flags: tuple[str, ...] = ()
    rates: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()  # lists of whole numbers
    given: tuple[str, ...] = ()  # layers that the block is given
    index: bool = False  # whether `index` is known
    in_hand: bool = True  # whether `in` is known
    knows: bool = True  # whether the parameters of the spec are known
    depth: int = 2
    repeated: bool = False  # whether a name given here would be given again
    local: bool = False  # in a block, where no numbers of frames are to be had
    indices: tuple[tuple[str, int], ...] = ()  # inputs of frame numbers, with how many there are
    mask: tuple[Grid, int] | None = None  # the grid of the input `hidden`, and how many positions it leaves

    def inner(self) -> Place:
        return replace(self, depth=self.depth - 1)


def given_block(d: Draw, number: str) -> str:
    """A layer that keeps the shape, as the argument of a block, with arguments now and then."""
    options = ["relu", "gelu", "sigmoid", "layernorm", "gelu(tanh = on)", "rmsnorm(eps = 1e-6)", "relu if on else gelu"]
    return d.pick([*options, f"layernorm(eps = 1/(4 + {number}))", f"drop_path(1/(3 + {number}))"])


class Values:
    """Draws what stands in parentheses."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def free(self, place: Place) -> str:
        """A number of channels that depends on where it stands."""
        d = self.draw
        options: list[Callable[[], str]] = [lambda: self.known(place, d.whole(1, 9))] * 4
        if place.in_hand and d.has("in"):
            options += [lambda: d.pick(IN_HAND)(d)] * 5
        known = [k.name for k in d.functions] if place.knows else [d.of_library] * bool(d.of_library)
        if place.in_hand and known:
            options += [lambda: f"max(1, min({d.pick(known)}(in.channels), 9))"]
        if place.index and d.has("index"):
            options += [lambda: d.pick(INDEXED)(d)] * 2
        if place.names:
            name = d.pick(place.names)
            options += [
                lambda: name,
                lambda: f"{name} + {d.whole(1, 3)}",
                lambda: f"max({d.whole(1, 6)}, {name})",
                lambda: f"min({name} * 2, {d.whole(6, 16)})",
                lambda: f"ceil({name} / {d.whole(2, 3)})",
            ]
            if place.in_hand and d.has("in"):
                options += [
                    lambda: f"{name} if in.channels > {d.whole(1, 9)} else {d.whole(1, 9)}",
                    lambda: f"({name} + in.channels) // 2",
                    lambda: f"min(in.channels, {name})",
                    lambda: f"{name} if {name} != in.channels else {name} + 1",
                ]
        if place.lists:
            options += [lambda: f"{d.pick(place.lists)}[{d.pick(['0', '-1', 'index % 1' if place.index else '0'])}]"]
        return d.pick(options)()

    def known(self, place: Place, value: int) -> str:
        return self.draw.number(value) if place.knows else str(value)

    def flag(self, place: Place) -> str:
        d = self.draw
        truth = d.chance()
        if place.flags and d.chance(0.4):
            return d.pick(place.flags)
        return d.flag(truth) if place.knows else written(truth)

    def condition(self, place: Place) -> str:
        """A condition of a truth that is not known."""
        d = self.draw
        options: list[Callable[[], str]] = [
            lambda: d.condition(d.chance()) if place.knows else written(d.chance()),
        ]
        if place.in_hand:
            options += [lambda: f"in.channels {d.pick(['>', '<', '!=', '==', '>='])} {d.whole(1, 12)}"] * 2
            options += [lambda: f"in.channels % 2 == {d.whole(0, 1)}", lambda: f"in.{d.pick('thw')} > {d.whole(1, 5)}"]
        if place.index:
            options += [lambda: f"index {d.pick(['==', '>', '!='])} 0", lambda: "index % 2 == 0"]
        if place.flags:
            options += [lambda: d.pick(place.flags), lambda: f"not {d.pick(place.flags)}"]
        if place.names:
            options += [lambda: f"{d.pick(place.names)} {d.pick(['>', '<=', '=='])} {d.whole(1, 8)}"]
        return d.pick(options)()

    def rate(self, place: Place) -> str:
        d = self.draw
        options = ["0", "0.1", "1/8", "0.5", "0.2 * 1/2", "0.0"]
        if place.rates:
            options += [*place.rates, f"{d.pick(place.rates)} / 2"]
        if place.index:
            options += ["0.1 * index", "0.3 * index / 3", "index / (index + 1)"]
            options += [f"{r} * index / 2" for r in place.rates]
        return d.pick(options)

    def initialiser(self, place: Place, *, kernel: bool = False, weight: bool = True) -> str:
        d = self.draw
        options = ["zeros", "normal(0.02)", "trunc_normal(1/50)", "normal(1e-3)", "msra", "xavier"]
        if kernel:
            options += ["central_frame(0.1)", "averaged_frames(0.1)"]
        if weight:
            options += ["uniform"] * 2
        options += [
            "depth_scaled(0.02, index + 1)",
            "depth_scaled(0.1, 2*index + 3)",
            "depth_scaled(0.1, index + 5)",
        ] * (2 if place.index else 0)
        options += [f"depth_scaled(0.05, {d.whole(1, 9)})"]
        if place.rates and d.chance(0.2):
            return f"normal({d.pick(place.rates)} + 0.1)"
        return d.pick(options)

    def bias(self) -> list[str]:
        """How a bias begins, if there is one."""
        d = self.draw
        if not d.chance(0.2):
            return []
        return [f"bias_init = {d.pick(['zeros', 'uniform', 'constant(0.02)', 'constant(0 - 1/2)', 'normal(0.02)'])}"]


IN_HAND: list[Callable[[Draw], str]] = [
    lambda _: "in.channels",
    lambda _: "in.channels",
    lambda d: f"max({d.whole(1, 8)}, in.channels // {d.pick([2, 4, 16])})",
    lambda d: f"max({d.whole(1, 8)}, in.channels // {d.pick([2, 4, 16])})",
    lambda d: f"{d.whole(1, 9)} if in.channels {d.pick(['<', '>', '!=', '<='])} {d.whole(2, 9)} else {d.whole(1, 9)}",
    lambda _: "floor(in.channels / 2) + 1",
    lambda _: "round(in.channels * 2/3) + 1",
    lambda _: "ceil(in.channels / 3)",
    lambda d: f"[{d.whole(1, 9)}, {d.whole(1, 9)}, {d.whole(1, 9)}][in.channels % 3]",
    lambda d: f"min({d.whole(2, 12)}, 2 * in.channels)",
    lambda d: f"in.channels % {d.whole(2, 5)} + 1",
    lambda _: "(in.channels + 3) // 2",
    lambda d: f"min(in.channels ** {d.whole(0, 3)}, {d.whole(4, 12)})",
    lambda d: f"in.channels ** 2 // {d.whole(8, 30)} + 1",
    lambda _: "max(in.channels, 4)",
    lambda _: "sum([in.channels, 2]) // 2",
    lambda d: f"in.{d.pick('thw')} + {d.whole(1, 3)}",
    lambda d: f"{d.whole(1, 9)} if in.{d.pick('thw')} > {d.whole(1, 5)} else {d.whole(1, 9)}",
    lambda _: "in.channels if in.channels % 2 == 0 else in.channels + 1",
    lambda _: "min(in.channels, in.h * 2)",
]
INDEXED: list[Callable[[Draw], str]] = [
    lambda d: f"{d.whole(1, 6)} + index",
    lambda d: f"[{d.whole(1, 9)}, {d.whole(1, 9)}, {d.whole(1, 9)}, 4][index]",
    lambda d: f"{d.whole(1, 9)} if index == 0 else {d.whole(1, 9)}",
    lambda d: f"{d.whole(1, 9)} if index % 2 == 0 else {d.whole(1, 9)}",
    lambda d: f"2 * index + {d.whole(1, 4)}",
    lambda d: f"2 ** index + {d.whole(0, 2)}",
]
