"""Layers that are written in lines: what happens to each branch, branch by branch.

Nothing is shared here: the layers of a line are applied to each of its branches by itself. What branches share is a
matter of names and shapes of tensors, which other tests have.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid
from archdsl.frontend import ast
from archdsl.layers.attention_biases import BIASES
from archdsl.layers.attention_lines import OUTSIDE, RESULT, Between, Lines, Origin, X, padded_grid
from definition.names import Applied, Part
from definition.values import evaluate, let, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from archdsl.layers.base import Layer
    from definition.network import Definition, Place

Tree = tuple[Any, ...]  # kind and settings of the last layer, whether for each head, and the trees of its inputs


class LineDefinition:
    """The lines of one layer.

    Args:
        network: which the layer is a part of.
        link: the layer.
        value: what enters.
        place: of the layer.
    """

    def __init__(self, network: Definition, link: ast.Lines, value: int, place: Place) -> None:
        self.between = bound(Between, link, place)
        self.externals: list[int] = []
        self.inner = copy(network)  # with more values, which the network does not have
        self.inner.applied = list(network.applied)
        self.count = len(network.applied)
        self.trees: dict[int, Tree] = {}
        self.heads, self.without_token = 1, False
        entering = network.applied[value].shape
        self.x = padded_grid(self.between, entering)
        self.entry = self._value(self.x, ("in",))
        setattr(self.inner, "_apply", self._apply)  # noqa: B010
        setattr(self.inner, "_shape", self._shape)  # noqa: B010
        setattr(self.inner, "_merge", partial(self._merge, self.inner._merge))  # noqa: B010
        self.branches: dict[str, int] = {}
        self.biases: list[Tree] = []
        self.place = replace(place, part=Part("line"), values=dict(place.values), entering=self.entry)
        self._run(link.body, self.place.names.new_child({"in": entering}))

    def result(self) -> Grid:
        """The shape of the output."""
        return self.inner.applied[self.branches["proj"]].shape if "proj" in self.branches else self._result()

    def described(self) -> dict[str, Any]:
        """The trees of all branches, and the biases."""
        return {**{k: self.trees[v] for k, v in self.branches.items()}, "biases": self.biases}

    def _run(self, body: Iterable[ast.Statement], names: Any) -> None:
        for item in body:
            match item:
                case ast.Let():
                    let(item, names)
                case ast.If():
                    taken = item.body if evaluate(item.test, names) else item.otherwise
                    self._run(taken, names.new_child())
                case ast.BranchLine():
                    self._line(item, names)
                case _:
                    raise AssertionError(item)

    def _line(self, line: ast.BranchLine, names: Any) -> None:
        name, chain = line.name.id, line.chain
        if name == "bias":
            link = chain.steps[0].link
            assert isinstance(link, ast.Layer)
            layer = bound(BIASES[link.name.id], link, replace(self.place, names=names))
            self.biases.append((layer.kind, settings(layer)))
            return
        prefix = "token_" if name.startswith("token_") else ""
        branches = ["proj"] if name == "proj" else [prefix + letter for letter in name.removeprefix("token_")]
        ends: dict[str, int] = {}
        for branch in branches:
            begin = self.branches.get(branch, self.entry)
            if branch == "proj":
                begin = self._value(self._result(), ("result",))
            place = replace(self.place, names=names, part=Part("line"), values=dict(self.place.values))
            ends[branch] = self.inner._chain(chain, begin, place)
            if len(branches) == 1:
                self.place.values.update(place.values)
        self.branches |= ends
        self.place.values.update({k: v for k, v in ends.items() if k in "qkv"})

    def _result(self) -> Grid:
        q, v = (self.inner.applied[self.branches[n]].shape for n in "qv")
        return Grid(v.channels, *q.size, q.token)

    # --- what takes the place of the network's ---

    def _value(self, shape: Grid, tree: Tree) -> int:
        self.inner.applied.append(Applied(self.between, (), shape))
        self.trees[len(self.inner.applied) - 1] = tree
        return len(self.inner.applied) - 1

    def _shape(self, value: int | None) -> Grid | None:
        if value is None:
            return None
        shape = self.inner.applied[value].shape
        return Grid(shape.channels // self.heads, *shape.size, "" if self.without_token else shape.token)

    def _tree(self, value: int) -> Tree:
        if value < self.count:
            if value not in self.externals:
                self.externals.append(value)
            return ("outside", value)
        return self.trees[value]

    def _apply(self, layer: Layer, inputs: tuple[int, ...], part: Part) -> int:  # noqa: ARG002
        shapes = [self._shape(i) for i in inputs]
        assert all(shapes)
        whole = self.inner.applied[inputs[0]].shape
        if layer.selects_all(*shapes):
            return inputs[0]
        seen = layer.infer(*shapes)
        if layer.is_identity(*shapes):
            return inputs[0]
        shape = Grid(seen.channels * self.heads, *seen.size, whole.token if self.without_token else seen.token)
        by_head = self.heads if self.heads != 1 else None
        return self._value(shape, (layer.kind, settings(layer), by_head, *(self._tree(i) for i in inputs)))

    def _merge(self, join: Callable[..., int], link: ast.Merge, value: int, place: Place) -> int:
        """The value behind `each_head { … }`, `grid { … }`, or a join."""
        if link.name.id not in ("each_head", "grid"):
            return join(link, value, place)
        before = self.heads, self.without_token
        if link.name.id == "grid":
            self.without_token = True
        else:
            self.heads = int(self.between.heads)
        end = self.inner._chain(link.branches[0], value, place.inside(value, self._shape(value)))
        self.heads, self.without_token = before
        return end


def bound(cls: type[Any], link: Any, place: Place) -> Any:
    """A layer with the values of its attributes."""
    keys, given = list(cls.attributes), link.arguments or ()
    named = {a.name.id if a.name is not None else keys[i]: a.value for i, a in enumerate(given)}
    return cls(**{k: cls.attributes[k].convert(plain(evaluate(v, place.names))) for k, v in named.items()})


def settings(layer: Layer) -> Tree:
    """The settings of a layer; `on` is no number."""
    return tuple((k, isinstance(v, bool), v) for k, v in layer.values().items())


def described(lines: Lines) -> Mapping[str, Any]:
    """The trees of the branches of a network's lines, and the biases."""
    written = {k: v for k, v in lines.branches.items() if k in lines.places}
    found: dict[str, Any] = {k: _tree(lines, origin) for k, origin in written.items()}
    return {**found, "biases": [(b.layer.kind, settings(b.layer)) for b in lines.biases]}


def _tree(lines: Lines, origin: Origin) -> Tree:
    if origin.application <= OUTSIDE:
        return ("outside", OUTSIDE - origin.application)
    if origin.application in (X, RESULT):
        return ("in",) if origin.application == X else ("result",)
    applied = lines.applications[origin.application]
    inputs = applied.inputs[origin.part if len(applied.inputs) > 1 else 0]
    by_head = applied.heads if applied.heads != 1 else None
    return (applied.layer.kind, settings(applied.layer), by_head, *(_tree(lines, o) for o in inputs))
