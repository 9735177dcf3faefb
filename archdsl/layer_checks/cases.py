"""Drawn uses of an added layer: values for its attributes, and inputs that it takes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import CLIP, FRAME, NO_TOKEN, Grid
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

CASES = 6  # of each layer
TRIES = 400
SMALL = Grid(8, 4, 6, 6)


@dataclass(frozen=True)
class Case:
    """A layer with values for its attributes, applied to inputs that it takes."""

    layer: Layer
    inputs: tuple[Grid, ...]
    output: Grid
    given: tuple[tuple[str, Value], ...]  # the attributes that are not left to their defaults

    @cached_property
    def op(self) -> Op[Layer]:
        """The layer as torch has it."""
        return op_of(self.layer, self.inputs, self.output)

    @property
    def arguments(self) -> str:
        """The attributes as a spec has them."""
        return ", ".join(f"{name} = {written(value)}" for name, value in self.given)

    @property
    def name(self) -> str:
        """The use in the words of a spec."""
        return f"{self.layer.kind}({self.arguments}) on {' and '.join(map(str, self.inputs))}"

    @property
    def layouts(self) -> list[str]:
        """The layouts that the inputs can have, (B, C, T, H, W) first."""
        if any(x.token for x in self.inputs):
            return [TOKENS]
        shapes = all(x.is_vector for x in self.inputs)
        found = [x for x in self.op.accepted_layouts if x != TOKENS and (x != VECTOR or shapes)]
        return sorted(found, key=lambda layout: layout != GRID)

    def site(self, layout: str) -> CallSite:
        """Return the call of the layer with inputs in a layout."""
        return CallSite(self.inputs, self.output, layout)

    def step(self, layout: str) -> TrainingStep:
        """Return the forward pass in training, with inputs in a layout."""
        last = layout in (CHANNELS_LAST, TOKENS) or self.inputs[0].positions == 1
        return TrainingStep(layout, channels_last=last)


def cases(cls: type[Layer], fixed: Mapping[str, Value], seed: int) -> list[Case]:
    """Return some uses of a layer; none if it refuses whatever is drawn.

    Args:
        cls: the layer.
        fixed: values for some of its attributes.
        seed: of what is drawn.
    """
    drawn = random.Random(seed)
    found: list[Case] = []
    for attempt in range(TRIES):
        case = _case(cls, fixed, drawn, attempt)
        if case is not None and all(case.name != c.name for c in found):
            found.append(case)
        if len(found) == CASES:
            break
    return found


def _case(cls: type[Layer], fixed: Mapping[str, Value], drawn: random.Random, attempt: int) -> Case | None:
    first = attempt == 0  # with all defaults, on a grid that suits many
    given: dict[str, Value] = {}
    for name, attribute in cls.attributes.items():
        value = fixed.get(name)
        if value is None and (attribute.required or (not first and drawn.random() < 0.6)):
            value = _value(attribute, drawn)
        if value is not None:
            given[name] = value
    grid = SMALL if first else _grid(cls, drawn, attempt)
    inputs = (grid,) * (2 if cls.many else 1)
    try:
        layer = cls(**{name: cls.attributes[name].convert(value) for name, value in given.items()})
        if any(x.token for x in inputs) and not layer.takes_tokens:
            return None
        return Case(layer, inputs, layer.infer(*inputs), tuple(given.items()))
    except (AttributeFault, ShapeError):
        return None


def _grid(cls: type[Layer], drawn: random.Random, attempt: int) -> Grid:
    """Return a grid; every fourth has a class token of the clip, of each frame, or is a vector, where layouts allow."""
    special = attempt % 4
    channels, t, h, w = (drawn.choice(sizes) for sizes in ((4, 6, 8, 12, 16), (1, 2, 3, 4, 8), (3, 4, 6, 8), (4, 5, 6)))
    layouts = _layouts(cls)
    if special == 3 and VECTOR in layouts:
        return Grid(channels, 1, 1, 1)
    token = {1: CLIP, 2: FRAME}.get(special, NO_TOKEN) if TOKENS in layouts else NO_TOKEN
    return Grid(channels, t, h, w, token)


def _layouts(cls: type[Layer]) -> tuple[str, ...]:
    """Return the layouts that a layer declares, whatever its attributes."""
    own = issubclass(cls, AddedLayer) and cls.layouts
    return own or op_class(cls).layouts or (ANY_LAYOUT if cls.elementwise else (GRID,))


def _value(attribute: Attribute[Any], drawn: random.Random) -> Value | None:
    """Return a value of the language for an attribute; None if it is left to its default."""
    return next((v for kind, v in _values(attribute, drawn) if isinstance(attribute, kind)), None)


def _values(attribute: Any, drawn: random.Random) -> Iterator[tuple[type, Value]]:
    yield Flag, drawn.random() < 0.5
    if isinstance(attribute, Choice):
        yield Choice, Symbol(drawn.choice(attribute.choices))
    if isinstance(attribute, Integer):
        yield Integer, drawn.choice(attribute.among or tuple(attribute.minimum + n for n in (0, 1, 2, 3, 7)))
    if isinstance(attribute, Real):
        high = min(attribute.high, attribute.low + 1)
        share = drawn.choice((Fraction(1, 4), Fraction(1, 2), Fraction(1)))
        yield Real, Fraction(attribute.low) + (Fraction(high) - Fraction(attribute.low)) * share
    if isinstance(attribute, Numbers):
        yield Numbers, (Fraction(attribute.element.low).limit_denominator(),) * (attribute.counts or (1,))[0]
    if isinstance(attribute, Window) and drawn.random() < 0.3:
        yield Window, Symbol("all")
    if isinstance(attribute, Size):
        yield Size, tuple(attribute.minimum + drawn.choice((0, 1, 2)) for _ in range(3))
    yield Initialiser, Symbol("normal", (Fraction(1, 50),))
