"""Rates that grow linearly with depth, as in stochastic depth (Huang et al. 2016, equation 4)."""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, NamedTuple

from archdsl.layers.base import REGULARISATION
from archdsl.targets.python.tree import Leaf, Literal, Precedence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.ir.network import Network
    from archdsl.targets.python.tree import Expr

LEAST = 3  # different rates that make a ramp
MOST_STEPS = 1000
EXACT = 10**6  # the largest denominator of a rate


class Ramp(NamedTuple):
    """The rates `top * i / steps` for whole numbers i."""

    top: float
    steps: int

    def at(self, index: int | str) -> Leaf:
        """Return the code of one rate, for a number or for the variable of a loop."""
        if index == self.steps:
            return RampStep(self, index, repr(self.top), Precedence.PRIMARY)
        return RampStep(self, index, f"{self.top!r} * {index} / {self.steps}", Precedence.PRODUCT)


class RampStep(Leaf):
    """The code of a rate on a ramp."""

    __slots__ = ("index", "ramp")

    def __init__(self, ramp: Ramp, index: int | str, text: str, precedence: Precedence) -> None:
        super().__init__(text, precedence)
        self.ramp, self.index = ramp, index


class Ramps:
    """The ramps among the rates of a network, one for each kind of layer."""

    def __init__(self, network: Network) -> None:
        rates: dict[str, set[Fraction]] = {}
        for node in network.all_nodes():
            if node.layer.category == REGULARISATION:
                values = (v for v in node.layer.values().values() if isinstance(v, float))
                rates.setdefault(node.layer.kind, set()).update(map(_exact, values))
        self.ramps = {kind: ramp for kind, values in rates.items() if (ramp := _ramp(values)) is not None}

    def tree(self, rate: float, kind: str = "") -> Expr:
        """Return a rate as the step of a ramp, of a kind of layer if it is known; one on none with four digits."""
        return Literal(0.0) if rate == 0 else self.step(rate, kind)

    def step(self, rate: float, kind: str = "") -> Expr:
        """Do the same; zero is the first step of a ramp, too."""
        for ramp in [r for k, r in self.ramps.items() if kind in ("", k)]:
            index = _exact(rate) * ramp.steps / _exact(ramp.top)
            if index.denominator == 1 and 0 <= index <= ramp.steps:
                return ramp.at(int(index))
        return Literal(float(f"{rate:.4g}"))


def _exact(rate: float) -> Fraction:
    return Fraction(rate).limit_denominator(EXACT)


def _ramp(rates: Iterable[Fraction]) -> Ramp | None:
    """Return the ramp with the fewest steps that some rates are on; None if they are few or on none."""
    positive = sorted(r for r in rates if r)
    if len(positive) < LEAST:
        return None
    steps = lcm(*((r / positive[-1]).denominator for r in positive))
    return Ramp(float(positive[-1]), steps) if steps <= MOST_STEPS else None
