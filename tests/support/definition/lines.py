"""Attention in lines: the chains of each letter by itself, and which letters share the tensors of a layer.

A value has one number however many letters it belongs to: letters share a value as long as no layer has parted them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import prod
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME, NO_TOKENS, Grid
from archdsl.core.values import Symbol
from archdsl.frontend import ast
from archdsl.layers import vocabulary
from definition.axes import Axis, axes_of
from definition.chains import Chains, matched
from definition.names import Applied, Part, name_members
from definition.trees import Tree, settings
from definition.values import Names, evaluate, filled, let, plain

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from archdsl.layers.base import Layer
    from definition.chains import Place

LETTERS = {
    **{prefix + name: [prefix + n for n in name] for prefix in ("", "token_") for name in "q k v qk qv kv qkv".split()},
    "proj": ["proj"],
}


@dataclass(eq=False)
class Made:
    """A value of the lines, and how it is made of others."""

    how: str  # `x`, `outside`, `result`, `layer`; `split` and `join` of heads; `grid`, `beside` for class tokens
    inputs: tuple[int, ...]
    shape: Grid
    layer: Layer | None = None
    heads: int = 0  # that the channels are one of
    tensors: tuple[str, int, int] | None = None  # their prefix, and which part of how many


@dataclass(frozen=True)
class Bias:
    """A bias of scores."""

    kind: str
    label: str
    layer: Any
    is_frozen: bool = False


@dataclass(frozen=True)
class Settings:
    """The arguments of an attention, and the grid that enters."""

    x: Grid
    heads: int = 1
    kv_heads: int = 0
    over: tuple[str, ...] = ("space_time",)
    window: tuple[int, int, int] = (0, 0, 0)
    shift: tuple[int, int, int] = (0, 0, 0)
    dilation: tuple[int, int, int] = (1, 1, 1)
    band: int = 0
    causal: bool = False
    score: str = "softmax"
    scale: bool = True
    dropout: float = 0
    cap: float = 0

    @classmethod
    def of(cls, link: ast.Lines, x: Grid, names: Names) -> Settings:
        found: dict[str, Any] = {}
        for name, expr in matched(link, ["heads"]).items():
            value = plain(evaluate(expr, names))
            if name in ("window", "shift", "dilation"):
                found[name] = tuple(_size(v) for v in value) if isinstance(value, tuple) else (_size(value),) * 3
            elif name == "over":
                found[name] = tuple(v.name for v in (value if isinstance(value, tuple) else (value,)))
            elif name in ("dropout", "cap"):
                found[name] = float(value)
            else:
                found[name] = value.name if isinstance(value, Symbol) else value
        return cls(x, **found)

    def values(self) -> dict[str, Any]:
        """The arguments alone."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "x"}

    @property
    def heads_of_keys(self) -> int:
        return self.kv_heads or self.heads

    def axes(self, over: str, queries: Grid, keys: Grid) -> list[Axis]:
        return axes_of(self, over, queries, keys)

    @property
    def padded(self) -> Grid:
        """The grid that enters, filled up to whole windows."""
        axes = self.axes(self.over[0], self.x, self.x)
        t, h, w = (a.padded for a in axes)
        return Grid(self.x.channels, self.x.t if self.x.token == FRAME else t, h, w, self.x.tokens)


def _size(value: Any) -> int:
    return 0 if isinstance(value, Symbol) else int(value)  # `all`


class Attended:
    """An attention that is written in lines."""

    kind = "attention"

    def __init__(self, outer: Chains, link: ast.Lines, x: Grid, place: Place) -> None:
        names = place.names.new_child({"in": x})
        self.outer, self.place = outer, place
        self.settings = Settings.of(link, x, place.names)
        self.made: list[Made] = []
        self.numbers: dict[Hashable, int] = {}
        self.outside: dict[int, int] = {}  # values of the network that lines read, with their numbers here
        self.tensors: dict[str, tuple[int, ...]] = {}
        self.inits: dict[str, Symbol] = {}  # of tensors that begin neither with zeros nor as torch lets them
        self.frozen: set[str] = set()  # the tensors that lines freeze
        self.biases: list[Bias] = []
        self.x = self.hold("x", Made("x", (), self.settings.padded))
        self.branches: dict[str, int] = {}
        self.written: set[str] = set()  # letters that lines name
        self.values = {name: -1 - value for name, value in place.values.items()}
        self.named: dict[str, Any] = {}  # link, place and layer of the lines above, as in `Part`
        self.given: dict[Applied, int] = {}  # the values of layers that have tensors
        self.count = 0  # of lines
        self._body(link.body, names)
        if "proj" not in self.branches:
            self.branches["proj"] = self._result()
        self._take_between()

    def _take_between(self) -> None:
        """The tensors of scores and biases."""
        q, k = (self.made[self.branches.get(n, self.x)].shape for n in "qk")
        settings, width = self.settings, int(q.channels) // self.settings.heads
        if settings.score == "concatenation":
            self.tensors["pair.weight"] = (1, 2 * width)
        if settings.score == "cosine":
            self.tensors["logit_scale"] = (settings.heads, 1, 1)
        for bias in self.biases:
            axes = settings.axes(settings.over[0], q, k)
            if bias.kind == "table":
                rows = [2 * a.largest - 1 for a in axes]
                rows = [2 * (settings.band // 2) + 1] if settings.band else rows
                self.tensors[bias.label] = (prod(rows), settings.heads)
            elif bias.kind == "decomposed":
                for axis, n in zip(axes, bias.layer.made_for, strict=True):
                    if axis.is_looked_along:
                        most = n or max(axis.extent(axis.queries), axis.extent(axis.keys))
                        self.tensors[f"{bias.label}.{axis.name}"] = (2 * most - 1, width)
            elif bias.kind == "continuous":
                hidden, number = bias.layer.hidden, sum(a.is_looked_along for a in axes)
                sizes = {"fc1.weight": (hidden, number), "fc1.bias": (hidden,), "fc2.weight": (settings.heads, hidden)}
                self.tensors |= {f"{bias.label}.{key}": size for key, size in sizes.items()}
            own = {n: bias.layer.init for n in self.tensors if n.split(".")[0] == bias.label}  # biases begin at 0
            self.frozen |= set(own) if bias.is_frozen else set()
            self.inits |= {n: s for n, s in own.items() if s.name != "zeros" and not n.endswith(".bias")}

    def hold(self, key: Hashable, made: Made) -> int:
        """The number of a value; the same for the same key."""
        if key not in self.numbers:
            self.numbers[key] = len(self.made)
            self.made.append(made)
        return self.numbers[key]

    def read(self, value: int) -> int:
        """A value that a name stands for; those of the network are below 0."""
        if value >= 0:
            return value
        number = -1 - value
        shape = self.outer._shape(number)
        assert shape is not None
        if shape.size == self.settings.x.size:  # filled up as what enters is
            shape = Grid(shape.channels, *self.settings.padded.size, shape.tokens)
        self.outside[number] = self.hold(("outside", number), Made("outside", (number,), shape))
        return self.outside[number]

    def heads(self, letter: str) -> int:
        return self.settings.heads_of_keys if letter[-1] in "kv" else self.settings.heads

    # --- lines ---

    def _body(self, body: Iterable[ast.Statement], names: Names) -> None:
        for item in body:
            match item:
                case ast.BranchLine():
                    self._line(item, names)
                case ast.Let():
                    let(item, names)
                case ast.If():
                    self._body(item.body if evaluate(item.test, names) else item.otherwise, names.new_child())
                case _:
                    raise AssertionError(item)

    def _line(self, line: ast.BranchLine, names: Names) -> None:
        name = line.name.id
        if name == "bias":
            self._bias(line, names)
            return
        self.count += 1
        letters = LETTERS[name]
        apart: set[Any] = set()
        while True:
            runs = {letter: _Run(self, letter, apart) for letter in letters}
            for letter, run in runs.items():
                run.run(line.chain, self._begin(letter), names)
            more = _unlike_calls(_layers(runs), apart)
            if not more:
                break
            apart |= more
        self._name(runs, apart)
        for letter, run in runs.items():
            self.named |= run.root.named
            self.branches[letter] = run.end
            self.written.add(letter)
            if letter in "qkv":
                self.values[letter] = run.end
        if len(runs) == 1:
            self.values |= {n: v for run in runs.values() for n, v in run.values.items() if n not in self.values}

    def _begin(self, letter: str) -> int:
        if letter in self.branches:
            return self.branches[letter]
        return self._result() if letter == "proj" else self.x

    def _result(self) -> int:
        q, v = (self.made[self.branches.get(n, self.x)].shape for n in "qv")
        channels = v.channels // self.settings.heads_of_keys * self.settings.heads
        return self.hold("result", Made("result", (), Grid(channels, *q.size, q.tokens)))

    def _bias(self, line: ast.BranchLine, names: Names) -> None:
        [step] = line.chain.steps
        is_frozen, label = False, step.label
        while isinstance(step.link, ast.Freezing):
            test = step.link.frozen.test
            is_frozen = is_frozen or test is None or bool(evaluate(test, names))
            [step] = step.link.chain.steps
            label = label or step.label
        link = step.link
        assert isinstance(link, ast.Layer)
        kind = link.name.id
        cls: type[Any] = vocabulary()[kind]
        given = matched(link, list(cls.attributes)).items()
        layer = cls(**{n: cls.attributes[n].convert(plain(evaluate(e, names))) for n, e in given})
        self.biases.append(Bias(kind, filled(label, names) if label is not None else kind, layer, is_frozen))

    def _name(self, runs: dict[str, _Run], apart: set[Any]) -> None:
        """Give the layers of a line their tensors."""
        for run in runs.values():
            name_members(run.root, "")
        for layers in _layers(runs):
            for letters in _sharing(layers, apart):
                self._take(letters, [layers[letter] for letter in letters])

    def _take(self, letters: list[str], entries: list[_Entry]) -> None:
        """Give tensors to a layer that letters share: a part for each value that it makes."""
        first = entries[0]
        prefix = "token_" if letters[0].startswith("token_") else ""
        name = "_".join(filter(None, [prefix + "".join(n.removeprefix("token_") for n in letters), first.path]))
        values = list(dict.fromkeys(e.value for e in entries))
        layer, shapes = first.applied.layer, [self.made[i].shape for i in first.applied.inputs]
        self.given |= {e.applied: e.value for e in entries}
        if first.applied.source is not None:
            assert len(values) == 1, "one tensor for several parts"
            self.made[first.value].tensors = self.made[self.given[first.applied.source]].tensors
            return
        for key, shape in {**layer.weights(*shapes), **layer.buffers(*shapes)}.items():
            tensor = f"{name}.{key}" if key else name
            assert tensor not in self.tensors, f"two layers are called {name}"
            self.tensors[tensor] = (int(shape[0]) * len(values), *map(int, shape[1:])) if shape else ()
        if first.applied.is_frozen:
            self.frozen |= {f"{name}.{key}" if key else name for key in layer.weights(*shapes)}
        self.inits |= {f"{name}.{k}": s for k, s in layer.inits(*shapes).items() if s.name != "zeros"}
        for part, value in enumerate(values):
            self.made[value].tensors = name, part, len(values)

    # --- as a layer ---

    def described(self) -> dict[str, Any]:
        """The trees of the letters that lines name, and the biases."""
        found: dict[str, Any] = {k: self._tree(v) for k, v in self.branches.items() if k in self.written}
        return {**found, "biases": [(b.kind, settings(b.layer)) for b in self.biases]}

    def _tree(self, value: int) -> Tree:
        made = self.made[value]
        if made.how == "layer":
            assert made.layer is not None
            by_head = made.heads if made.heads > 1 else None
            return (made.layer.kind, settings(made.layer), by_head, *map(self._tree, made.inputs))
        if made.how == "outside":
            return ("outside", *made.inputs)
        return {"x": ("in",), "result": ("result",)}.get(made.how) or self._tree(made.inputs[0])

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        del inputs
        return dict(self.tensors)

    def buffers(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        del inputs
        return {}

    def infer(self, *inputs: Grid) -> Grid:
        """The result has the grid of the queries; where what enters is filled up, it is cut back."""
        shape = self.made[self.branches["proj"]].shape
        x, padded = inputs[0], self.settings.padded
        return Grid(shape.channels, *x.size, shape.tokens) if padded != x else shape


@dataclass(eq=False)
class _Entry:
    """A layer that was applied to one letter."""

    applied: Applied
    value: int
    calls: tuple[Any, ...]  # of the blocks around it
    heads: int = 0  # of which it was applied to one
    is_own: bool = False  # whether the line itself applies it, and gives it no name
    is_by_channel: bool = False  # whether it has one filter for each channel

    @property
    def path(self) -> str:
        path = self.applied.name.removeprefix(".")
        return "" if self.is_own and path == "linear" and not self.applied.label else path

    def has_tensors(self, made: Sequence[Made]) -> bool:
        shapes = [made[i].shape for i in self.applied.inputs]
        return bool(self.applied.layer.weights(*shapes) or self.applied.layer.buffers(*shapes))


class _Run(Chains):
    """The chain of a line for one letter."""

    def __init__(self, attended: Attended, letter: str, apart: set[Any]) -> None:
        outer = attended.outer
        super().__init__(outer.files, outer.globals, outer.indices)
        self.attended, self.letter, self.apart = attended, letter, apart
        self.root = Part("line")
        self.entries: dict[int, _Entry] = {}
        self.seen = 0
        self.heads = 0  # of which one is seen here
        self.is_grid = False  # whether class tokens are out of sight here
        self.calls: tuple[Any, ...] = ()
        self.values: dict[str, int] = dict(attended.values)
        self.end = -1

    def run(self, chain: ast.Chain, begin: int, names: Names) -> None:
        place = replace(
            self.attended.place, names=names, part=self.root, values=self.values, entering=self.attended.x
        )  # fmt: skip
        end = self._chain(chain, begin, place)
        assert end is not None
        self.end = end

    @property
    def made(self) -> list[Made]:
        return self.attended.made

    def _shape(self, value: int | None) -> Grid | None:
        return None if value is None else self.made[value].shape

    def _read(self, value: int) -> int:
        return self._seen(self.attended.read(value))

    def _seen(self, value: int) -> int:
        """A value as the braces around it show it."""
        made = self.made[value]
        if self.heads and not made.heads:
            shape = made.shape._replace(channels=made.shape.channels // self.heads)
            value = self._hold("split", (value,), shape, self.heads)
        made = self.made[value]
        if self.is_grid and made.shape.token:
            value = self._hold("grid", (value,), made.shape._replace(tokens=NO_TOKENS), made.heads)
        return value

    def _hold(self, how: str, inputs: tuple[int, ...], shape: Grid, heads: int) -> int:
        return self.attended.hold((how, inputs, heads), Made(how, inputs, shape, None, heads))

    def _link(self, link: ast.Link, value: int | None, place: Place, *, is_first: bool = False) -> int | None:
        if isinstance(link, ast.Merge) and link.name.id in ("each_head", "grid"):
            assert value is not None
            return self._braces(link, value, place)
        return super()._link(link, value, place, is_first=is_first)

    def _braces(self, link: ast.Merge, value: int, place: Place) -> int:
        before = self.heads, self.is_grid
        if link.name.id == "grid":
            self.is_grid = True
        elif not self.heads:
            self.heads = self.attended.heads(self.letter)
        inner = self._seen(value)
        place = replace(place.inside(inner, self._shape(inner)), values=dict(place.values))
        end = self._chain(link.branches[0], inner, place)
        assert end is not None
        self.heads, self.is_grid = before
        if end == inner:
            return value
        made = self.made[end]
        if made.heads and not self.heads:
            end = self._hold("join", (end,), made.shape._replace(channels=made.shape.channels * made.heads), 0)
        made, entered = self.made[end], self.made[value]
        if link.name.id == "grid" and not made.shape.token and entered.shape.token and not self.is_grid:
            assert entered.shape.channels == made.shape.channels
            end = self._hold("beside", (end, value), made.shape._replace(tokens=entered.shape.tokens), made.heads)
        return end

    def _call(self, block: ast.Block, file: Any, link: ast.Layer, value: int | None, place: Place) -> int | None:
        before = self.calls
        self.calls = (*before, link.span)
        end = super()._call(block, file, link, value, place)
        self.calls = before
        return end

    def _share(self, link: ast.Share, value: int | None, place: Place) -> int | None:
        if place.part is self.root:  # names of other lines are known, too
            place.part.named = {**self.attended.named, **place.part.named}
        return super()._share(link, value, place)

    def _apply(self, layer: Layer, inputs: tuple[int | None, ...], part: Part) -> int:
        operands = tuple(i for i in inputs if i is not None)
        shapes = [self.made[i].shape for i in operands]
        self.seen += 1
        if (layer.kind == "select" and not shapes[0].token) or layer.is_identity(*shapes):
            return operands[0]
        shape, heads = layer.infer(*shapes), self.made[operands[0]].heads
        is_parted = parts(layer) or bool(self.apart & set(self.calls))
        key = "layer", self.attended.count, self.seen, operands, self.letter if is_parted else ""
        value = self.attended.hold(key, Made("layer", operands, shape, layer, heads))
        applied = Applied(layer, operands, shape)
        part.members.append(applied)
        by_channel = _is_by_channel(layer, shapes[0])
        self.entries[self.seen] = _Entry(applied, value, self.calls, self.heads, part is self.root, by_channel)
        return value


def parts(layer: Any) -> bool:
    """Tell whether a layer gives each letter values of its own: a linear layer, or a full convolution."""
    return layer.kind == "linear" or (layer.kind == "conv" and layer.groups == 1)


def _is_by_channel(layer: Any, x: Grid) -> bool:
    """Tell whether a layer has one filter for each channel."""
    return layer.kind == "conv" and layer.groups == x.channels == layer.out


def _layers(runs: dict[str, _Run]) -> list[dict[str, _Entry]]:
    """The layers with tensors of a line, for each the letters that it was applied to."""
    found: list[dict[str, _Entry]] = []
    for number in sorted({n for run in runs.values() for n in run.entries}):
        entries = {letter: run.entries[number] for letter, run in runs.items() if number in run.entries}
        made = next(iter(runs.values())).made
        if any(e.has_tensors(made) for e in entries.values()):
            found.append(entries)
    return found


def _sharing(entries: dict[str, _Entry], apart: set[Any]) -> list[list[str]]:
    """The letters that share the tensors of a layer: those of one value, and parted ones channel by channel."""
    found: dict[Hashable, list[str]] = {}
    for letter, entry in entries.items():
        applied = entry.applied
        key: Hashable = applied.inputs
        if apart & set(entry.calls):
            key = letter
        elif entry.is_by_channel:
            key = applied.shape, entry.heads
        found.setdefault(key, []).append(letter)
    return list(found.values())


def _unlike_calls(layers: list[dict[str, _Entry]], apart: set[Any]) -> set[Any]:
    """The calls of blocks in which letters share some tensors and not others: each has such a block by itself."""
    sharing: dict[Any, set[tuple[str, ...]]] = {}
    for entries in layers:
        for letters in _sharing(entries, apart):
            for call in entries[letters[0]].calls:
                sharing.setdefault(call, set()).add(tuple(letters))
    return {call for call, found in sharing.items() if len(found) > 1} - apart
