"""Clip sizes that a network accepts, derived by symbolic shape inference with the layers' own shape rules.

Shape rules divide, add and compare integers, and ⌊(⌊(n + a) / b⌋ + c) / d⌋ = ⌊(n + a + bc) / bd⌋: so each size has the
form ⌊(n + a) / b⌋, n being one size of the clip; behind a layer that enlarges grids, f·⌊(n + a) / b⌋ + e. A comparison
by which a layer accepts or rejects its input becomes a constraint on n.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, lcm
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid, fixed
from archdsl.ir.outputs import VECTOR_AXES, output_axes
from archdsl.layers.input import ARGUMENT_AXES

if TYPE_CHECKING:
    from archdsl.ir.network import Network


MAX_DIVISOR = 10**15  # of a formula; above it only the declared size is accepted


@dataclass
class Limits:
    """Constraints on one axis of a clip: at least `minimum`, a multiple of `multiple`; if `exact`, only `declared`."""

    declared: int
    minimum: int = 1
    multiple: int = 1
    exact: bool = False
    clip: str = ""  # name of the input
    axis: str = ""  # `t`, `h` or `w`

    def at_least_one(self, offset: int, divisor: int) -> None:
        """Require ⌊(n + offset) / divisor⌋ ≥ 1."""
        self.minimum = max(self.minimum, divisor - offset)

    def same(self, divisor: int, one: int, other: int) -> None:
        """Require ⌊(n + one) / divisor⌋ = ⌊(n + other) / divisor⌋, which depends on the remainder of n.

        It fails if a multiple of the divisor lies between n + one and n + other: for |one - other| of the remainders,
        or for all if that is more.
        """
        distance = abs(one - other)
        if distance == 0:
            return
        if distance == divisor - 1 and one // divisor == other // divisor:  # it holds for the remainder 0 only
            self.multiple = lcm(self.multiple, divisor)
        else:
            self.exact = True

    def equal(self, one: Axis, other: Axis) -> None:
        """Require that two sizes are equal, which holds for all n, for multiples of a number, or for one clip alone.

        For multiples of m = lcm(divisors), f·⌊(n + a) / b⌋ + e is linear in n: values at 0 and m are enough.
        """
        if one.formula == other.formula:
            return
        m = lcm(one.divisor, other.divisor)
        values = [(one.at(n), other.at(n)) for n in (0, m)]
        if self.declared % m == 0 and all(a == b for a, b in values):
            self.multiple = lcm(self.multiple, m)
        else:
            self.exact = True


class Axis(int):
    """A size, with its formula factor·⌊(n + offset) / divisor⌋ + more over one size n of the clip."""

    limits: Limits
    offset: int
    divisor: int
    factor: int
    more: int

    def __new__(cls, limits: Limits, offset: int = 0, divisor: int = 1, factor: int = 1, more: int = 0) -> Axis:
        self = super().__new__(cls, factor * ((limits.declared + offset) // divisor) + more)
        self.limits, self.offset, self.divisor, self.factor, self.more = limits, offset, divisor, factor, more
        return self

    @property
    def formula(self) -> tuple[int, int, int, int]:
        return self.offset, self.divisor, self.factor, self.more

    def at(self, n: int) -> int:
        """Return the size for another size n of the clip."""
        return self.factor * ((n + self.offset) // self.divisor) + self.more

    def fix(self) -> None:
        """Require the declared size of the clip."""
        self.limits.exact = True

    def __add__(self, other: Any) -> Any:
        if type(other) is Axis:
            return self._without_formula(int(self) + int(other))
        if self.factor > 1:
            return Axis(self.limits, self.offset, self.divisor, self.factor, self.more + int(other))
        return Axis(self.limits, self.offset + self.divisor * int(other), self.divisor)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if type(other) is Axis:
            return self._without_formula(int(self) - int(other))
        return self + -int(other)

    def __floordiv__(self, other: Any) -> Any:
        if type(other) is Axis:
            return self._without_formula(int(self) // int(other))
        d, common = int(other), gcd(self.factor, int(other))
        if self.factor > 1 and common == d:
            return Axis(self.limits, self.offset, self.divisor, self.factor // d, 0) + self.more // d
        if self.factor > 1 and common == self.factor:
            return (Axis(self.limits, self.offset, self.divisor) + self.more // self.factor) // (d // self.factor)
        divisor = self.divisor * d
        if self.factor > 1 or divisor > MAX_DIVISOR:
            return self._without_formula(int(self) // d)
        return Axis(self.limits, self.offset, divisor)

    def __mod__(self, other: Any) -> Any:
        """Return the remainder. Shape rules use it to test divisibility: ⌊m / k⌋ = ⌊(m + k - 1) / k⌋."""
        k = int(other)
        if self.factor > 1:
            if self.factor % k:
                self.limits.exact = True
            return int(self) % k
        upper = self.offset + self.divisor * (k - 1)
        self.limits.same(self.divisor * k, self.offset, upper)
        return int(self) % k

    def _without_formula(self, value: int) -> int:
        """Return a size that has no formula in n, and require the declared size of the clip."""
        self.limits.exact = True
        return value

    def __mul__(self, other: Any) -> Any:
        if type(other) is Axis or int(other) < 1:
            return self._without_formula(int(self) * int(other))
        return Axis(self.limits, self.offset, self.divisor, self.factor * int(other), self.more * int(other))

    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> Any:
        return self._without_formula(int(other) - int(self))

    def __lt__(self, other: Any) -> bool:
        if int(other) == 1:
            more = -((self.more - 1) // self.factor) - 1  # f·q + e ≥ 1, where q ≥ more + 1
            self.limits.at_least_one(self.offset - more * self.divisor, self.divisor)
        else:
            self.limits.exact = True
        return int(self) < int(other)

    def __eq__(self, other: object) -> bool:
        if type(other) is Axis and other.limits is self.limits:
            if self.factor > 1 or other.factor > 1:
                self.limits.equal(self, other)
            elif other.divisor == self.divisor:
                self.limits.same(self.divisor, self.offset, other.offset)
            elif (self.offset, self.divisor) != (other.offset, other.divisor):
                self.limits.exact = True
        else:
            self.limits.exact = True
            if type(other) is Axis:
                other.limits.exact = True
        return int.__eq__(self, int(other)) if isinstance(other, int) else False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return int.__hash__(self)


def input_limits(network: Network) -> dict[str, dict[str, Limits]]:
    """Return the constraints on `t`, `h` and `w` of each clip, or of other inputs, by the input's name."""
    return _limits_and_grids(network)[0]


def grids_by_clip(network: Network) -> dict[int, Grid]:
    """Return the grid of each value by node id; sizes that depend on a clip's size are an `Axis`."""
    return _limits_and_grids(network)[1]


def _limits_and_grids(network: Network) -> tuple[dict[str, dict[str, Limits]], dict[int, Grid]]:
    limits: dict[str, dict[str, Limits]] = {}
    grids: dict[int, Grid] = {}
    for number in network.inputs.values():
        grids[number] = network.node(number).shape
    for name in network.arguments:
        node = network.node(network.inputs[name])
        is_video = name in network.clips
        limits[name] = {
            axis: Limits(
                int(getattr(node.shape, axis)), exact=is_video and axis in network.fixed_axes, clip=name, axis=axis
            )
            for axis in (a.axis for a in map(ARGUMENT_AXES.__getitem__, node.layer.argument_axes) if a.noun)
        }
        sizes = {axis: Axis(axis_limits) for axis, axis_limits in limits[name].items()}
        grids[node.id] = node.shape._replace(channels=int(node.shape.channels), **sizes)
    for node in network.all_nodes():
        if node.inputs:
            grids[node.id] = node.layer.infer(*(grids[i] for i in node.inputs))
    for output in network.outputs.values():
        if output_axes(network, output) == VECTOR_AXES:
            fixed(grids[output])
    return limits, grids
