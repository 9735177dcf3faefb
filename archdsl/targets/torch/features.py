"""Features of a model: the values that `forward_features` returns, their names, and their conversion to grids."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from archdsl.analysis.clip_limits import Axis, grids_by_clip
from archdsl.core.grid import CLASS_TOKEN, CLIP, FRAME
from archdsl.ir.regions import Conversion, Featured, Fusion, Lateral
from archdsl.targets.python.tree import Assign, Binary, Dict, Evaluate, Items, Literal, Name, Subscript, called, dotted
from archdsl.targets.torch.free_names import FreeNames
from archdsl.targets.torch.ops.base import row_size
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID, TOKENS, VECTOR

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from archdsl.core.grid import Grid, Tokens
    from archdsl.targets.python.tree import Expr, Stmt
    from archdsl.targets.torch.select import OpNetwork

_FUNCTIONS = {
    GRID: "_keep",
    CHANNELS_LAST: "_keep_channels_last",
    VECTOR: "_keep_vector",
}
_TOKEN_FUNCTIONS = {
    CLIP: "_keep_tokens",
    FRAME: "_keep_frame_tokens",
}
_NAMED_TOKEN_FUNCTIONS = {
    CLIP: "_keep_named_tokens",
    FRAME: "_keep_named_frame_tokens",
}
_NAMED_TOKENS = {
    CLIP: "those of a clip (B, C, tokens)",
    FRAME: "those of frames (B, C, T, tokens)",
}
_CLASS_TOKENS: dict[tuple[str, ...], str] = {
    (CLIP,): "(B, C)",
    (FRAME,): "(B, C, T), one of each frame",
    (CLIP, FRAME): "(B, C) of a clip, (B, C, T) of its frames",
}


class Feature(NamedTuple):
    """A feature: its name, its value in the network, and the function of generated code that keeps it."""

    name: str
    value: int
    function: str


class Features:
    """Outputs of stages and laterals, then what the head reads besides.

    A part of a stage that does nothing gives a value that has a name already, and that gets another one.
    """

    def __init__(self, network: OpNetwork, read: Iterable[int]) -> None:
        """Choose the features of a lowered network whose head reads some values, which may be its inputs."""
        self.network = network
        self.read = list(dict.fromkeys(read))
        self.of: dict[int, list[Feature]] = {}  # by value
        self._free = FreeNames()
        self.has_others = False  # whether the head reads what no stage gives out
        for part in network.regions:
            if isinstance(part, Featured):
                self._add(part.name, part.exit)
        inputs = set(network.inputs.values())
        sources = {u.exit: u.entry for u in network.regions if isinstance(u, Conversion)}
        for value in self.read:
            if not {value, sources.get(value)} & {*self.of, *inputs}:
                self._add(self._name(value), value)
                self.has_others = True
        self._grids: dict[int, Grid] | None = None
        self._clips: dict[str, Name] = {}  # by clip: the variable with its shape

    def _add(self, name: str, value: int) -> None:
        node = self.network.node(value)
        layout = node.op.output_layout(node.layout) if node.inputs else GRID
        function = _token_functions(node.shape.tokens)[node.shape.token] if layout == TOKENS else _FUNCTIONS[layout]
        self.of.setdefault(value, []).append(Feature(self._free.take(name), value, function))

    def _name(self, value: int) -> str:
        """Return a name, not yet a free one, for a value that the head reads and that is no output of a stage."""
        node = self.network.node(value)
        region = node.region.top
        source = self.network.node(region.entry).region.top if isinstance(region, Conversion) else region
        if isinstance(source, Fusion):
            return f"{region.name}.fused"
        return region.name if value == region.exit else node.name

    # --- code ---

    @property
    def functions(self) -> list[str]:
        """The functions that keep the features, each once."""
        return list(dict.fromkeys(f.function for features in self.of.values() for f in features))

    @property
    def doc(self) -> str:
        """The promise of `forward_features`."""
        stages = (
            "stages and lateral connections" if any(isinstance(u, Lateral) for u in self.network.regions) else "stages"
        )
        besides = ", and what the head reads besides" if self.has_others else ""
        text = f"Return the outputs of {stages}{besides} by name, each a grid (B, C, T, H, W)."
        scopes = tuple(scope for scope, function in _TOKEN_FUNCTIONS.items() if function in self.functions)
        text += f" Class tokens are under `NAME.token`: {_CLASS_TOKENS[scopes]}." if scopes else ""
        named = [_NAMED_TOKENS[scope] for scope, name in _NAMED_TOKEN_FUNCTIONS.items() if name in self.functions]
        return (
            f"{text} Tokens are under `NAME.TOKENS`: {', '.join(named)}, without the last axis for one."
            if named
            else text
        )

    def keep(self, value: int, place: Expr) -> Iterator[Stmt]:
        """Yield the statements that keep a value."""
        for feature in self.of.get(value, ()):
            given = [Name("features"), Literal(f'"{feature.name}"'), place]
            if "token" in feature.function:
                given.append(Items(self._sizes(value)))
            if feature.function in _NAMED_TOKEN_FUNCTIONS.values():
                kinds = self.network.node(value).shape.tokens.kinds
                given.append(Dict([(Literal(f'"{kind}"'), Literal(number)) for kind, number in kinds]))
            yield Evaluate(called(feature.function, given))

    def start(self, taken: Collection[str]) -> list[Stmt]:
        """Return the statements that note the shapes of clips, where grids beside class tokens depend on them."""
        values = [f.value for features in self.of.values() for f in features if "token" in f.function]
        axes = [n.limits for value in values for n in self._grid(value).size if is_open(n)]
        free = FreeNames(taken)
        named = {a.clip for a in axes}
        self._clips = {clip: Name(free.take("size")) for clip in self.network.arguments if clip in named}
        return [Assign([name], dotted(f"{clip}.shape")) for clip, name in self._clips.items()]

    def _grid(self, value: int) -> Grid:
        if self._grids is None:
            self._grids = grids_by_clip(self.network)
        return self._grids[value]

    def _sizes(self, value: int) -> list[Expr]:
        """Return the sizes of a grid beside tokens as code; that of a row, as masks leave it, is found by a call."""
        sizes = self._grid(value).size
        is_row = row_size(self.network.node(value).shape)[-1] == -1 and not any(map(is_open, sizes))
        return [Literal(1), Literal(1), Literal(-1)] if is_row else [self._code(n) for n in sizes]

    def _code(self, size: int) -> Expr:
        """Return a size as code: a number, or how it follows from the clip's where that may have another size."""
        if not is_open(size):
            return Literal(int(size))
        boxes = self.network.node(self.network.inputs[size.limits.clip]).layer.by_name  # (B, N, 4)
        place = 1 if boxes else "thw".index(size.limits.axis) + 2
        whole: Expr = Subscript(self._clips[size.limits.clip], Literal(place))
        if size.offset:
            whole = Binary(whole, "+" if size.offset > 0 else "-", Literal(abs(size.offset)))
        whole = whole if size.divisor == 1 else Binary(whole, "//", Literal(size.divisor))
        whole = whole if size.factor == 1 else Binary(Literal(size.factor), "*", whole)
        return whole if not size.more else Binary(whole, "+" if size.more > 0 else "-", Literal(abs(size.more)))


def _token_functions(tokens: Tokens) -> dict[str, str]:
    """Return the functions that keep a value with tokens, by their scope."""
    return _TOKEN_FUNCTIONS if tokens.kinds == ((CLASS_TOKEN, 1),) else _NAMED_TOKEN_FUNCTIONS


def is_open(size: int) -> TypeGuard[Axis]:
    """Tell whether a size follows from one of a clip, which may be another than the declared one."""
    return isinstance(size, Axis) and not size.limits.exact
