"""The lines of an attention as a small graph: layers applied to branches, which share tensors until they part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.grid import FRAME, Grid
from archdsl.layers.base import VALUES
from archdsl.layers.groups import AXES, Groups, groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archdsl.core.grid import Tokens
    from archdsl.core.source import Span
    from archdsl.layers.attention_arguments import Between
    from archdsl.layers.attributes import Size3
    from archdsl.layers.base import Layer
    from archdsl.layers.bias import Bias

X, RESULT, OUTSIDE = -1, -2, -10  # what enters; what `proj` begins with; node n outside is `OUTSIDE - n`


class Origin(NamedTuple):
    """A value: the application that gives it, by its number, and the part that belongs to a branch."""

    application: int
    part: int = 0


@dataclass(eq=False)
class Application:
    """A layer applied to one branch, or to several that share its tensors.

    Shapes are those of one branch and, in `each_head`, of one head; in `grid` they have no tokens. `inputs` are
    the values of each part: several branches that share its tensors, but have parted, are the parts of one tensor.
    """

    letters: str  # of the branches; the name of the line elsewhere: `proj`
    layer: Layer
    inputs: tuple[tuple[Origin, ...], ...]
    shapes: tuple[Grid, ...]
    shape: Grid
    heads: int = 1  # that are treated alike
    by_head: bool = False  # in `each_head`
    region: Any = None
    path: str = ""  # of the layer in its line
    stack: int = 1  # branches whose tensors are rows of one
    parts: str = ""  # the first branch of each of these
    tokens: tuple[Tokens, ...] = ()  # that pass, in `grid`, beside each part
    carrier: int = -1  # the input beside which they pass
    owner: Application | None = None  # another one, before it, whose tensors it has
    frozen: bool = False  # it is not trained

    def is_by_position(self) -> bool:
        """Return True if it treats each position on its own, and leaves none out."""
        if any(x.size != self.shape.size for x in (self.shapes if self.layer.joins == VALUES else self.shapes[:1])):
            return False
        return self.layer.maps_positions() or self.layer.treats_positions_alone

    @property
    def is_of_branches(self) -> bool:
        """True if its tensors are those of several branches."""
        return self.stack > 1 or len(self.inputs) > 1

    @property
    def name(self) -> str:
        """The prefix of its tensors."""
        if self.owner is not None:
            return self.owner.name
        return "_".join(p for p in (self.letters, self.path) if p)

    def weights(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its own tensors, by their names in the attention."""
        if self.owner is not None:
            return {}
        found: dict[str, tuple[int, ...]] = {}
        for key, (rows, *rest) in self.layer.weights(*self.shapes).items():
            found[f"{self.name}.{key}" if key else self.name] = (rows * self.stack, *rest)
        return found

    def macs(self) -> int:
        """Return its multiply-adds, for one clip."""
        return self.layer.macs(self.shape, *self.shapes) * self.stack * self.heads


@dataclass(eq=False)
class BiasLine:
    """A line `bias: …`."""

    layer: Bias
    label: str  # the name of its tensors
    span: Span
    frozen: bool = False  # it is not trained

    def named(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values for the tensors of the layer by their names in the attention."""
        return {f"{self.label}.{key}" if key else self.label: value for key, value in values.items()}


@dataclass(eq=False)
class Lines:
    """The lines of one attention.

    `branches` are the ends of the branches, and `shapes` their shapes, all heads together; those of a class token's own
    are called `token_q`, `token_k`, `token_v`; `proj` is the output. `places` has also the line of the last bias.
    """

    between: Between
    entering: Grid
    x: Grid  # what lines work on: what enters, perhaps padded
    applications: list[Application] = field(default_factory=list[Application])
    branches: dict[str, Origin] = field(default_factory=dict[str, Origin])
    shapes: dict[str, Grid] = field(default_factory=dict[str, Grid])
    biases: list[BiasLine] = field(default_factory=list[BiasLine])
    externals: list[int] = field(default_factory=list[int])  # values from outside, besides that which enters
    entry: int = -1  # the node that gives what enters
    places: dict[str, Span] = field(default_factory=dict[str, "Span"])  # of the line that last changed each branch

    @property
    def is_filled(self) -> bool:
        """True if what enters is filled up with zeros, as windows do not divide it."""
        return self.x != self.entering

    def filled(self, x: Grid) -> Grid:
        """Return what lines see of a value: one of the size of what enters is filled up as that is."""
        return x._replace(t=self.x.t, h=self.x.h, w=self.x.w) if self.fills(x) else x

    def fills(self, x: Grid) -> bool:
        """Return True if a value is filled up."""
        return self.is_filled and size_of(x) == size_of(self.entering) and x.t == self.entering.t

    def local(self, origin: Origin) -> Origin:
        """Return a value under the same name at each place: one from outside is numbered as an input, not as a node."""
        if origin.application > OUTSIDE:
            return origin
        return Origin(OUTSIDE - self.externals.index(OUTSIDE - origin.application), origin.part)

    def read_by(self, origin: Origin) -> tuple[Origin, ...]:
        """Return the values that an application makes a value of."""
        inputs = self.applications[origin.application].inputs
        return inputs[min(origin.part, len(inputs) - 1)]

    def heads(self, branch: str) -> int:
        """Return the number of heads of a branch."""
        between = self.between
        return between.kv_heads if between.kv_heads and branch[-1] in "kv" else between.heads

    @property
    def tokens(self) -> tuple[Tokens, Tokens]:
        """Tokens of queries, and of keys and values."""
        return self.shapes["q"].tokens, self.shapes["k"].tokens

    @property
    def of_frames(self) -> bool:
        """True if each frame is attended to alone, as it has tokens."""
        return FRAME in (tokens.scope for tokens in self.tokens)

    @property
    def crosses_frames(self) -> bool:
        """True if what is at one place of each frame is attended to, also each token."""
        return self.of_frames and self.between.over == ("time",)

    def groups(self, over: str) -> Groups:
        """Return the groups of what enters, along some axes; on other axes each query is one of its own."""
        between, q = self.between, self.size("q")
        size = size3(n if a in AXES[over] else m for a, n, m in zip("thw", self.entering.size, q, strict=True))
        return groups(AXES[over], size, between.window, between.dilation, between.shift)

    def size(self, branch: str) -> Size3:
        """Return the size of a branch's grid; of one frame, where each has tokens."""
        t, h, w = size3(self.shapes[branch].size)
        return (1 if self.of_frames else t), h, w

    def weights(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all tensors, by name."""
        found: dict[str, tuple[int, ...]] = {}
        for application in self.applications:
            found |= application.weights()
        return found


def size_of(grid: Grid) -> Size3:
    """Return the size of a grid; of one frame, where each has tokens."""
    return (1, grid.h, grid.w) if grid.token == FRAME else grid.size


def size3(numbers: Iterable[int]) -> Size3:
    """Return three numbers as plain integers."""
    t, h, w = numbers
    return int(t), int(h), int(w)
