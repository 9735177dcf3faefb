"""The lines of an attention as a small graph: layers applied to branches, which share tensors until they part."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.grid import FRAME, Grid
from archdsl.core.values import Symbol, Value, is_list
from archdsl.layers.attributes import Attribute, Choice, Flag, Integer, Real, Size, Window
from archdsl.layers.base import Layer
from archdsl.layers.bias import BiasGeometry
from archdsl.layers.groups import AXES, Groups, groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from archdsl.core.grid import Tokens
    from archdsl.core.source import Span
    from archdsl.layers.attributes import Size3
    from archdsl.layers.bias import Bias

LETTERS = "qkv"
TOKEN = "token_"  # before the letters of lines of the class token alone
RESULT_LINE, BIAS_LINE = "proj", "bias"
_LETTERS = ("q", "k", "v", "qk", "qv", "kv", "qkv")
LINES = {  # the branches of each line, by its name
    **{name: list(name) for name in _LETTERS},
    **{TOKEN + name: [TOKEN + letter for letter in name] for name in _LETTERS},
    RESULT_LINE: [RESULT_LINE],
}
# Names that no bias can have: those of members of a class, and of the beginnings of other tensors.
TAKEN = frozenset(
    """
    pair logit_scale heads kv_heads dropout grid q_grid kv_grid windows band parts split split_keys join
    """.split()
).union(LINES)
EACH_HEAD, GRID = LINE_BRACES = "each_head", "grid"  # braces that show a part of a value
SOFTMAX, DOT_PRODUCT, CONCATENATION, COSINE = "softmax", "dot_product", "concatenation", "cosine"


class Over(Attribute[tuple[str, ...]]):
    """Axes to look along, or a list of them, of which each has an equal part of the heads."""

    expects = "`space_time`, `space`, `time`, `height`, `width`, or a list of these"
    words = tuple(AXES)
    choices = tuple(AXES)

    def convert(self, value: Value) -> tuple[str, ...]:
        items = value if is_list(value) else (value,)
        names = tuple(v.name for v in items if isinstance(v, Symbol) and v.name in AXES and not v.arguments)
        if not names or len(names) < len(items):
            raise self.wrong(value)
        return names


class Between(Layer):
    """The arguments of an attention: what happens between positions."""

    kind = "attention"

    heads = Integer(1, doc="parts of the channels that attend on their own")
    kv_heads = Integer(0, minimum=0, doc="heads of keys and values, each for several of the queries; 0: as many")
    over = Over(("space_time",), doc="the axes that a position looks along")
    window = Window(0, doc="positions of a group over t, h and w; `all`: the whole axis, if it is looked along")
    shift = Size(0, minimum=0, doc="how far the windows are moved")
    dilation = Size(1, doc="distance between neighbours in a group")
    band = Integer(0, minimum=0, doc="positions that each sees before and behind it, together; 0: all")
    causal = Flag(False, doc="whether a position sees no later frame")
    score = Choice(SOFTMAX, DOT_PRODUCT, CONCATENATION, COSINE, default=SOFTMAX, doc="the pairwise function")
    scale = Flag(True, doc="whether `softmax` divides by √d")
    dropout = Real(0.0, high=1.0, doc="in training, the part of the weights that is 0")


Between.attributes = {k: v for k, v in vars(Between).items() if isinstance(v, Attribute)}


# Layers that treat positions on their own, though not linearly.
BY_POSITION = ("concat", "l2norm", "layernorm", "rmsnorm", "select")
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

    def is_by_position(self) -> bool:
        """Return True if it treats each position on its own, and leaves none out."""
        if self.shape.size != self.shapes[0].size:
            return False
        return self.layer.maps_positions() or self.layer.elementwise or self.layer.kind in BY_POSITION

    @property
    def name(self) -> str:
        """The prefix of its tensors."""
        return "_".join(p for p in (self.letters, self.path) if p)

    def weights(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its tensors, by their names in the attention."""
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

    def groups(self, over: str) -> Groups:
        """Return the groups of what enters, along some axes; on other axes each query is one of its own."""
        between, q = self.between, self.size("q")
        size = _size(n if a in AXES[over] else m for a, n, m in zip("thw", self.entering.size, q, strict=True))
        return groups(AXES[over], size, between.window, between.dilation, between.shift)

    def size(self, branch: str) -> Size3:
        """Return the size of a branch's grid; of one frame, where each has tokens."""
        t, h, w = _size(self.shapes[branch].size)
        return (1 if self.of_frames else t), h, w

    def of_line(self, name: str) -> list[Application]:
        """Return the applications of branches, or of the line `proj`."""
        return [a for a in self.applications if a.letters == name]

    def chain(self, origin: Origin) -> list[Application] | None:
        """Return the applications on the way to a value, the first one first; None if it is no chain."""
        found: list[Application] = []
        while origin.application >= 0:
            application = self.applications[origin.application]
            found.append(application)
            if len(application.inputs[0]) != 1:
                return None
            [origin] = application.inputs[min(origin.part, len(application.inputs) - 1)]
        return found[::-1] if origin.application in (X, RESULT) else None

    def weights(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all tensors, by name."""
        found: dict[str, tuple[int, ...]] = {}
        for application in self.applications:
            found |= application.weights()
        return found


def size_of(grid: Grid) -> Size3:
    """Return the size of a grid; of one frame, where each has tokens."""
    return (1, grid.h, grid.w) if grid.token == FRAME else grid.size


def rows(size: Size3) -> int:
    """Return the number of relative positions in a window."""
    return prod(2 * n - 1 for n in size)


@dataclass(frozen=True)
class Geometry:
    """Groups of positions that see each other on the input's grid, and what is left of one on the grids of q and k."""

    groups: Groups
    queries: Size3  # of one group
    keys: Size3
    clips: int  # parts of a value that see nothing of each other: frames, if each has tokens
    tokens: tuple[int, int]  # of the queries and of the keys of each group

    @property
    def pairs(self) -> int:
        """Number of pairs of a query and a key, for one clip."""
        q, k = self.tokens
        return self.clips * self.groups.number * (prod(self.queries) + q) * (prod(self.keys) + k)


def geometry(lines: Lines, over: str) -> Geometry:
    """Return the geometry along some axes."""
    found, (q, k) = lines.groups(over), lines.tokens
    queries, keys = (_in_group(found, lines.size(n)) for n in "qk")
    clips = int(lines.shapes["q"].t) if lines.of_frames else 1
    return Geometry(found, queries, keys, clips, (q.number, k.number))


def bias_geometry(lines: Lines) -> BiasGeometry:
    """Return the geometry that biases have numbers for."""
    between, found = lines.between, geometry(lines, lines.between.over[0])
    groups, (q, k) = found.groups, (lines.size(n) for n in "qk")
    finest = [max(map(int, sizes)) for sizes in zip(groups.padded, q, k, strict=True)]
    asked = (n or own for n, own in zip(between.window, groups.window, strict=True))
    window, largest = (_on_finest(groups, sizes, finest) for sizes in (groups.window, asked))
    if between.band:
        reach = between.band // 2 + 1
        largest = _size(reach if a in groups.over else 1 for a in "thw")
    steps = [
        _size(-(-n // int(m)) if a in groups.over else 1 for a, n, m in zip("thw", finest, size, strict=True))
        for size in (q, k)
    ]
    width = int(lines.shapes["q"].channels) // between.heads
    return BiasGeometry(
        groups.over, window, largest, found.queries, found.keys, steps[0], steps[1], between.heads, width,
        groups.number, found.clips, between.band > 0,
    )  # fmt: skip


def _on_finest(found: Groups, sizes: Iterable[int], finest: Sequence[int]) -> Size3:
    """Return sizes of a window in positions of the finest grid."""
    rows = zip("thw", sizes, finest, found.padded, strict=True)
    return _size(max(1, -(-int(n) * most // full)) if a in found.over else 1 for a, n, most, full in rows)


def _size(numbers: Iterable[int]) -> Size3:
    t, h, w = numbers
    return int(t), int(h), int(w)


def _in_group(found: Groups, size: Size3) -> Size3:
    """Return the positions of a group on a grid of another size."""
    rows = zip("thw", size, found.padded, found.window, strict=True)
    t, h, w = (1 if a not in found.over else int(n) * k // full for a, n, full, k in rows)
    return t, h, w


def padded_grid(between: Between, x: Grid) -> Grid:
    """Return the grid that lines work on."""
    found = groups(AXES[between.over[0]], size_of(x), between.window, between.dilation, between.shift)
    if not found.is_padded or between.band:
        return x
    t, h, w = found.padded
    return Grid(x.channels, x.t if x.token == FRAME else t, h, w, x.tokens)
