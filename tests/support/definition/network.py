"""Statements and chains: the applications of layers in the order of the text."""

from __future__ import annotations

import re
from collections import ChainMap
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid
from archdsl.core.values import Symbol
from archdsl.frontend import ast
from archdsl.layers import vocabulary
from archdsl.layers.attributes import Reference
from definition.files import File, Files, Merged
from definition.lines import LineDefinition
from definition.names import Applied, Part, name_members
from definition.values import Names, Parameters, Value, evaluate, let, loop, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from archdsl.layers.base import Layer


@dataclass(frozen=True)
class Place:
    """The position of a chain in the program."""

    names: Names
    part: Part
    values: dict[str, int]  # that a chain can begin with
    file: File
    entering: int | None = None  # the value that `in` is at the beginning of a chain

    def inside(self, value: int | None, shape: Grid | None) -> Place:
        """The same place in braces that a value enters, which `in` refers to."""
        if value is None:
            return replace(self, names=self.names.new_child())
        return replace(self, names=self.names.new_child({"in": shape}), entering=value)


class Definition:
    """The network of a program.

    Args:
        name: of the spec.
        texts: of all files, by name.
    """

    def __init__(self, name: str, texts: Mapping[str, str]) -> None:
        self.files = Files(name, texts)
        self.program = Merged(self.files)
        self.applied: list[Applied] = []
        self.inputs: dict[str, int] = {}  # videos
        self.indices: dict[str, int] = {}  # numbers of frames
        self.paths: dict[str, int] = {}  # where each path is; "" is one that has no name
        self.named: dict[str, int] = {}  # values that `as` has named for the whole spec
        self.parts: dict[str, Part] = {}  # of the network, by the prefix of their tensors
        self.output: int | None = None
        self.repeats = 0
        self.globals: Names = ChainMap(Parameters(self.program.defaults))
        # What stands at the top of the oldest base is known to the whole spec; a variant's own names are its own.
        self.tops = {f: self.globals if f.base is None else self.globals.new_child() for f in self.files.family}
        self.replaced: dict[str, tuple[ast.Stage, Names, File]] = {}
        self.frozen: dict[str, tuple[ast.Frozen, Names]] = {}  # by a later `stage NAME frozen`
        for statement, file in self.program.replacements:
            self._collect([statement], self.tops[file], file)
        for statement, file in self.program.statements:
            self._run([statement], self.tops[file], file)
        if self.output is None:
            [self.output] = self.paths.values()
        for prefix, part in self.parts.items():
            name_members(part, prefix, is_line=True)

    # --- statements ---

    def _collect(self, statements: Iterable[ast.Statement], names: Names, file: File) -> None:
        """Find the stages of a variant, which take the place of those with the same label."""
        for statement in statements:
            match statement:
                case ast.Stage():
                    label = filled(statement.label, names)
                    self.replaced[label] = statement, names, file
                    self.frozen.pop(label, None)
                case ast.Freeze():
                    self.frozen[filled(statement.label, names)] = statement.frozen, names
                case ast.Let():
                    let(statement, names)
                case ast.For():
                    for inner in loop(statement.names, statement.iterable, names):
                        self._collect(statement.body, inner, file)
                case ast.If():
                    taken = statement.body if evaluate(statement.test, names) else statement.otherwise
                    self._collect(taken, names.new_child(), file)
                case _:
                    raise AssertionError(statement)

    def _run(self, statements: Iterable[ast.Statement], names: Names, file: File) -> None:
        for statement in statements:
            match statement:
                case ast.Input():
                    self._input(statement, names)
                case ast.Path():
                    path = statement.name.id
                    self.paths[path] = self._line(
                        statement.chain, self._only(self.inputs), f"{path}.input", names, file
                    )
                case ast.Stage():
                    self._stage(statement, names, file)
                case ast.Let():
                    let(statement, names)
                case ast.For():
                    for inner in loop(statement.names, statement.iterable, names):
                        self._run(statement.body, inner, file)
                case ast.If():
                    taken = statement.body if evaluate(statement.test, names) else statement.otherwise
                    self._run(taken, names.new_child(), file)
                case ast.Head():
                    begin = self._only(self.paths or self.inputs)
                    self.output = self._line(statement.chain, begin, "head", names, file)
                case _:
                    raise AssertionError(statement)

    def _input(self, statement: ast.Input, names: Names) -> None:
        sizes = [int(evaluate(e, names)) for e in statement.shape.items]
        is_video = statement.kind.id == "video"
        layer = vocabulary()["input" if is_video else "index"]()
        shape = Grid(*sizes) if is_video else Grid(1, *sizes, 1, 1)
        self.applied.append(Applied(layer, (), shape, name=statement.name.id))
        (self.inputs if is_video else self.indices)[statement.name.id] = len(self.applied) - 1

    def _stage(self, statement: ast.Stage, names: Names, file: File) -> None:
        label = filled(statement.label, names)
        if not self.paths:
            [self.paths[""]] = self.inputs.values()
        statement, names, file = self.replaced.get(label, (statement, names, file))
        before = len(self.applied)
        self._items(statement.body, names.new_child(), label, file)
        frozen, names = self.frozen.get(label, (statement.frozen, names))
        if frozen is not None and (frozen.test is None or evaluate(frozen.test, names)):
            for applied in self.applied[before:]:
                applied.is_frozen = True

    def _items(self, items: Iterable[ast.Statement], names: Names, stage: str, file: File) -> None:
        """The lines of a stage."""
        dropped = self.program.dropped
        for item in items:
            match item:
                case ast.PathLine(path=path, chain=chain):
                    name = path.id if path is not None else next(iter(self.paths))
                    if name not in dropped:
                        prefix = f"{name}.{stage}" if name else stage
                        self.paths[name] = self._line(chain, self.paths[name], prefix, names, file)
                case ast.Lateral(source=source, target=target):
                    if not {source.id, target.id} & dropped:
                        self._lateral(item, names, stage, file)
                case ast.Let():
                    let(item, names)
                case ast.If():
                    taken = item.body if evaluate(item.test, names) else item.otherwise
                    self._items(taken, names.new_child(), stage, file)
                case _:
                    raise AssertionError(item)

    def _lateral(self, lateral: ast.Lateral, names: Names, stage: str, file: File) -> None:
        source, target = lateral.source.id, lateral.target.id
        side = self._line(lateral.chain, self.paths[source], f"{source}_to_{target}.{stage}", names, file)
        by_sum = lateral.fusion is not None and evaluate(lateral.fusion, names) == Symbol("sum")
        fusion = vocabulary()["add" if by_sum else "concat"]()
        self.paths[target] = self._apply(fusion, (self.paths[target], side), Part("fusion"))

    # --- chains ---

    def _line(self, chain: ast.Chain, begin: int | None, prefix: str, names: Names, file: File) -> int:
        """Run a chain of the spec. What `as` names at its end is known to the lines that follow."""
        part = self.parts.setdefault(prefix, Part("line"))
        values = {**self.inputs, **{p: v for p, v in self.paths.items() if p}, **self.named}
        place = Place(names, part, dict(values), file).inside(begin, self._shape(begin))
        end = part.exit = self._chain(chain, begin, place)
        assert end is not None
        self.named |= {name: v for name, v in place.values.items() if name not in values and v == end}
        return end

    def _only(self, values: Mapping[str, int]) -> int | None:
        return next(iter(values.values())) if len(values) == 1 else None

    def _shape(self, value: int | None) -> Grid | None:
        return None if value is None else self.applied[value].shape

    def _chain(self, chain: ast.Chain, value: int | None, place: Place) -> int | None:
        """The value behind a chain that goes on from a value, or begins with one of its own."""
        for k, step in enumerate(chain.steps):
            before = len(place.part.members)
            if isinstance(step.link, ast.Entering):
                assert k == 0
                value = place.entering
            elif step.count is None:
                value = self._link(step.link, value, place, is_first=k == 0)
            else:
                value = self._repeat(step, step.count, value, place)
            if step.label is not None:
                assert value is not None
                place.values[step.label.id] = value
                if len(made := place.part.members[before:]) == 1:  # one layer or block, which takes the name
                    made[0].label = step.label.id
        return value

    def _repeat(self, step: ast.Step, number: ast.Expr, value: int | None, place: Place) -> int | None:
        before = len(place.part.members)
        self.repeats += 1
        repeat = self.repeats  # rounds of it can repeat others
        for index in range(int(evaluate(number, place.names))):
            names = place.names.new_child({"index": Fraction(index)})
            value = self._link(step.link, value, replace(place, names=names))
        for made in place.part.members[before:]:
            if isinstance(step.link, ast.Layer) and isinstance(made, Part):  # a block; what is in brackets is no row
                made.repeat = repeat
        return value

    def _link(self, link: ast.Link, value: int | None, place: Place, *, is_first: bool = False) -> int | None:
        match link:
            case ast.Layer():
                if is_first and link.arguments is None and link.name.id in place.values:
                    return place.values[link.name.id]
                found = self.files.block(link.name.id, place.file)
                if found is not None:
                    return self._call(*found, link, value, place)
                layer, others = self._layer(link, place)
                return self._apply(layer, (value, *others), place.part)
            case ast.Merge() | ast.Lines():
                return self._braces(link, value, place)
            case ast.Residual():
                inside = place.inside(value, self._shape(value))
                body = self._chain(link.chain, value, inside)
                around = value if link.shortcut is None else self._shortcut(link.shortcut, value, inside)
                return self._apply(vocabulary()["add"](), (body, around), place.part)
            case ast.Choose():
                taken = link.then if evaluate(link.test, place.names) else link.otherwise
                if isinstance(taken, ast.Choose):
                    return self._link(taken, value, place)
                return value if taken is None else self._chain(taken, value, place)
            case ast.Group():
                return self._chain(link.chain, value, place)
            case ast.Entering():  # it can only begin a chain
                raise AssertionError(link)

    def _braces(self, link: ast.Merge | ast.Lines, value: int | None, place: Place) -> int | None:
        if isinstance(link, ast.Merge):
            return self._merge(link, value, place)
        assert value is not None
        return self._lines(link, value, place)

    def _merge(self, link: ast.Merge, value: int | None, place: Place) -> int | None:
        inside = place.inside(value, self._shape(value))
        branches = tuple(self._chain(branch, value, inside) for branch in link.branches)
        return self._apply(self._layer(link, place)[0], branches, place.part)

    def _lines(self, link: ast.Lines, value: int, place: Place) -> int:
        lines = LineDefinition(self, link, value, place)
        applied = Applied(lines.between, (value, *lines.externals), lines.result(), branches=lines.described())
        self.applied.append(applied)
        place.part.members.append(applied)
        return len(self.applied) - 1

    def _shortcut(self, shortcut: ast.Shortcut, value: int | None, place: Place) -> int | None:
        """A part that has its name even where its condition does not hold."""
        part = Part("shortcut")
        place.part.members.append(part)
        if shortcut.test is not None:
            part.holds = evaluate(shortcut.test, place.names)
            if not part.holds:
                return value
        return self._chain(shortcut.chain, value, replace(place, part=part, values=dict(place.values)))

    def _call(self, block: ast.Block, file: File, link: ast.Layer, value: int | None, place: Place) -> int | None:
        """A block's chain, with the names of its parameters; a library's block does not see those of the spec."""
        outside: Names = self.globals if file.is_spec else ChainMap()
        names = outside.new_child({"in": self._shape(value)})
        given = matched(link, [p.name.id for p in block.parameters])
        values: dict[str, int] = {}
        for parameter in block.parameters:
            name = parameter.name.id
            if parameter.type is not None and parameter.type.names[0].id == "value":
                value_name = given[name]
                assert isinstance(value_name, ast.Name)
                values[name] = place.values[value_name.id]
            elif name in given:
                names[name] = evaluate(given[name], place.names)
            else:
                assert parameter.default is not None
                names[name] = evaluate(parameter.default, names)
        for statement in block.lets:
            let(statement, names)
        part = Part(block.name.id, entry=value, is_block=True)
        part.exit = self._chain(block.chain, value, Place(names, part, values, file, value))
        if block.spelling is None:
            place.part.members.append(part)
        else:
            [spelt] = part.members
            spelt.label = ""
            place.part.members.append(spelt)
        return part.exit

    def _layer(self, link: ast.Layer | ast.Merge, place: Place) -> tuple[Layer, tuple[int, ...]]:
        """A layer with the values of its attributes, and the numbers of frames that it asks for by name."""
        cls = vocabulary()[link.name.id]
        values: dict[str, Any] = {}
        others: list[int] = []
        for name, expr in matched(link, list(cls.attributes)).items():
            if isinstance(cls.attributes[name], Reference):
                assert isinstance(expr, ast.Name)
                values[name] = expr.id
                others.append(self.indices[expr.id])
            else:
                values[name] = cls.attributes[name].convert(plain(evaluate(expr, place.names)))
        return cls(**values), tuple(others)

    def _apply(self, layer: Layer, inputs: tuple[int | None, ...], part: Part) -> int:
        operands = tuple(i for i in inputs if i is not None)
        assert len(operands) == len(inputs), layer.kind
        applied = Applied(layer, operands, layer.infer(*(self.applied[i].shape for i in operands)))
        self.applied.append(applied)
        part.members.append(applied)
        return len(self.applied) - 1


def matched(link: ast.Layer | ast.Merge, names: Sequence[str]) -> dict[str, ast.Expr]:
    """The arguments by their names: those without one by position."""
    return {a.name.id if a.name is not None else names[k]: a.value for k, a in enumerate(link.arguments or ())}


def filled(label: ast.Label, names: Names) -> str:
    """`res{i}` with the values of its names."""
    return re.sub(r"\{(\w+)\}", lambda m: _word(evaluate(ast.Name(label.span, m[1]), names)), label.text)


def _word(value: Value) -> str:
    return value.name if isinstance(value, Symbol) else str(value)
