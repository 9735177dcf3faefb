"""Random test cases for an added layer: attribute values, and input shapes that it accepts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import CLASS_TOKEN, CLIP, FRAME, NO_TOKENS, Grid, Tokens
from archdsl.core.values import Symbol, Value, written
from archdsl.layers.attributes import (
    Attribute,
    AttributeFault,
    Choice,
    Flag,
    Initialiser,
    Integer,
    Numbers,
    Real,
    Size,
    Window,
)
from archdsl.layers.base import Layer, ShapeError
from archdsl.targets.torch.ops.added import AddedLayer
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, CHANNELS_LAST, GRID, TOKENS, VECTOR
from archdsl.targets.torch.ops.sites import CallSite, TrainingStep
from archdsl.targets.torch.select import op_class, op_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from archdsl.targets.torch.ops.base import Op

CASES = 6  # per layer
TRIES = 400
SMALL = Grid(8, 4, 6, 6)


@dataclass(frozen=True)
class Case:
    """A layer with attribute values, applied to inputs of shapes that it accepts."""

    layer: Layer
    inputs: tuple[Grid, ...]
    output: Grid
    settings: tuple[tuple[str, Value], ...]  # the attributes that do not have their defaults

    @cached_property
    def op(self) -> Op[Layer]:
        """The torch operation of the layer."""
        return op_of(self.layer, self.inputs, self.output)

    @property
    def arguments(self) -> str:
        """The attribute values as arguments in a spec."""
        return ", ".join(f"{name} = {written(value)}" for name, value in self.settings)

    @property
    def name(self) -> str:
        """The case as text, for messages: `conv(8, kernel = 3) on 8×4×6×6`."""
        return f"{self.layer.kind}({self.arguments}) on {' and '.join(map(str, self.inputs))}"

    @property
    def layouts(self) -> list[str]:
        """The layouts that the inputs can have, (B, C, T, H, W) first."""
        if any(x.token for x in self.inputs):
            return [TOKENS]
        are_vectors = all(x.is_vector for x in self.inputs)
        accepted = [x for x in self.op.accepted_layouts if x != TOKENS and (x != VECTOR or are_vectors)]
        return sorted(accepted, key=lambda layout: layout != GRID)

    def site(self, layout: str) -> CallSite:
        """Return the call of the layer with inputs in a layout."""
        return CallSite(self.inputs, self.output, layout)

    def step(self, layout: str) -> TrainingStep:
        """Return the forward pass in training, with inputs in a layout."""
        last = layout in (CHANNELS_LAST, TOKENS) or self.inputs[0].positions == 1
        return TrainingStep(layout, channels_last=last)


def cases(cls: type[Layer], fixed: Mapping[str, Value], seed: int) -> list[Case]:
    """Return up to `CASES` random test cases of a layer; none if it rejects all random inputs.

    Args:
        cls: the layer.
        fixed: values for some of its attributes.
        seed: seed of the random numbers.
    """
    rng = random.Random(seed)
    distinct: list[Case] = []
    for attempt in range(TRIES):
        case = _case(cls, fixed, rng, attempt)
        if case is not None and all(case.name != c.name for c in distinct):
            distinct.append(case)
        if len(distinct) == CASES:
            break
    return distinct


def _case(cls: type[Layer], fixed: Mapping[str, Value], rng: random.Random, attempt: int) -> Case | None:
    first = attempt == 0  # with all defaults, on a grid that most layers accept
    settings: dict[str, Value] = {}
    for name, attribute in cls.attributes.items():
        value = fixed.get(name)
        if value is None and (attribute.required or (not first and rng.random() < 0.6)):
            value = _value(attribute, rng)
        if value is not None:
            settings[name] = value
    grid = SMALL if first else _grid(cls, rng, attempt)
    inputs = (grid,) * (2 if cls.many else 1)
    try:
        layer = cls(**{name: cls.attributes[name].convert(value) for name, value in settings.items()})
        if any(x.token for x in inputs) and not layer.takes_tokens:
            return None
        return Case(layer, inputs, layer.infer(*inputs), tuple(settings.items()))
    except (AttributeFault, ShapeError):
        return None


def _grid(cls: type[Layer], rng: random.Random, attempt: int) -> Grid:
    """Return a grid: in turn plain, with a class token, with two tokens per frame, a vector; if layouts allow."""
    special = attempt % 4
    channels, t, h, w = (rng.choice(sizes) for sizes in ((4, 6, 8, 12, 16), (1, 2, 3, 4, 8), (3, 4, 6, 8), (4, 5, 6)))
    layouts = _layouts(cls)
    if special == 3 and VECTOR in layouts:
        return Grid(channels, 1, 1, 1)
    tokens = {1: Tokens(CLIP, ((CLASS_TOKEN, 1),)), 2: Tokens(FRAME, (("registers", 2),))}
    return Grid(channels, t, h, w, tokens.get(special, NO_TOKENS) if TOKENS in layouts else NO_TOKENS)


def _layouts(cls: type[Layer]) -> tuple[str, ...]:
    """Return the layouts that a layer declares, independent of its attributes."""
    own = issubclass(cls, AddedLayer) and cls.layouts
    return own or op_class(cls).layouts or (ANY_LAYOUT if cls.elementwise else (GRID,))


def _value(attribute: Attribute[Any], rng: random.Random) -> Value | None:
    """Return a random value of the language for an attribute; None for the default."""
    return next((v for kind, v in _values(attribute, rng) if isinstance(attribute, kind)), None)


def _values(attribute: Any, rng: random.Random) -> Iterator[tuple[type, Value]]:
    yield Flag, rng.random() < 0.5
    if isinstance(attribute, Choice):
        yield Choice, Symbol(rng.choice(attribute.choices))
    if isinstance(attribute, Integer):
        yield Integer, rng.choice(attribute.among or tuple(attribute.minimum + n for n in (0, 1, 2, 3, 7)))
    if isinstance(attribute, Real):
        high = min(attribute.high, attribute.low + 1)
        share = rng.choice((Fraction(1, 4), Fraction(1, 2), Fraction(1)))
        yield Real, Fraction(attribute.low) + (Fraction(high) - Fraction(attribute.low)) * share
    if isinstance(attribute, Numbers):
        yield Numbers, (Fraction(attribute.element.low).limit_denominator(),) * (attribute.counts or (1,))[0]
    if isinstance(attribute, Window) and rng.random() < 0.3:
        yield Window, Symbol("all")
    if isinstance(attribute, Size):
        yield Size, tuple(attribute.minimum + rng.choice((0, 1, 2)) for _ in range(3))
    yield Initialiser, Symbol("normal", (Fraction(1, 50),))
