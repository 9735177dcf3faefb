"""Chains: the links of the text, one after the other, for whoever applies the layers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from archdsl.core.source import Source
from archdsl.core.values import Symbol
from archdsl.frontend import ast
from archdsl.frontend.parse import parse
from archdsl.layers import vocabulary
from archdsl.layers.attributes import Reference, TokenName
from definition.names import Part
from definition.values import Names, evaluate, filled, let, plain, typed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.core.grid import Grid
    from archdsl.layers.attributes import Attribute
    from archdsl.layers.base import Layer
    from definition.files import File, Files
    from definition.values import Value


@dataclass(frozen=True)
class Place:
    """The position of a chain in the program."""

    names: Names
    part: Part
    values: dict[str, int]  # that a chain can begin with
    file: File
    stages: Mapping[str, int] = field(default_factory=dict[str, int])  # the values behind stages
    blocks: dict[str, tuple[ast.Layer, Place]] = field(default_factory=dict[str, "tuple[ast.Layer, Place]"])  # given
    entering: int | None = None  # the value that `in` is at the beginning of a chain

    def inside(self, value: int | None, shape: Grid | None) -> Place:
        """The same place in braces that a value enters, which `in` refers to."""
        if value is None:
            return replace(self, names=self.names.new_child())
        return replace(self, names=self.names.new_child({"in": shape}), entering=value)


class Chains:
    """Chains of any kind of values, which are numbers.

    Whoever inherits says what the shape of a value is, and what a layer makes of values.
    """

    def __init__(self, files: Files, globals_: Names, indices: Mapping[str, int]) -> None:
        self.files = files
        self.globals = globals_
        self.indices = indices  # numbers of frames, and boxes
        self.videos: dict[str, int] = {}
        self.repeats = 0

    def _shape(self, value: int | None) -> Grid | None:
        raise NotImplementedError

    def _apply(self, layer: Layer, inputs: tuple[int | None, ...], part: Part) -> int:
        """The value that a layer gives."""
        raise NotImplementedError

    def _lines(self, link: ast.Lines, value: int | None, place: Place) -> int:
        """The value that an attention gives."""
        raise NotImplementedError

    def _read(self, value: int) -> int:
        """A value that a name stands for, as it is seen from here."""
        return value

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
                name = filled(step.label, place.names)
                place.values[name] = value
                if len(made := place.part.members[before:]) == 1:  # one layer or block, which takes the name
                    made[0].label = name
                    place.part.named[name] = (step.link, place, made[0])
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

    def _link(  # one case for each kind
        self, link: ast.Link, value: int | None, place: Place, *, is_first: bool = False
    ) -> int | None:
        match link:
            case ast.Layer():
                return self._word(link, value, place, is_first=is_first)
            case ast.Merge():
                return self._merge(link, value, place)
            case ast.Lines():
                return self._lines(link, value, place)
            case ast.Residual():
                inside = place.inside(value, self._shape(value))
                body = self._chain(link.chain, value, inside)
                around = value if link.shortcut is None else self._shortcut(link.shortcut, value, inside)
                return self._apply(vocabulary()["add"](), (body, around), place.part)
            case ast.Choose():
                return self._choose(link, value, place)
            case ast.Label():
                return self._value(filled(link, place.names), place)
            case ast.Group():
                return self._chain(link.chain, value, place)
            case ast.Freezing() | ast.Share():
                return (self._share if isinstance(link, ast.Share) else self._freezing)(link, value, place)
        raise AssertionError(link)  # `in` can only begin a chain

    def _freezing(self, link: ast.Freezing, value: int | None, place: Place) -> int | None:
        before = len(place.part.members)
        result = self._chain(link.chain, value, place)
        if link.frozen.test is None or evaluate(link.frozen.test, place.names):
            for made in place.part.members[before:]:
                for applied in made.applied() if isinstance(made, Part) else [made]:
                    applied.is_frozen = True
        return result

    def _share(self, link: ast.Share, value: int | None, place: Place) -> int | None:
        """The layer or block of that name once more: what it makes has the weights of what it has made first."""
        name = filled(link.name, place.names) if isinstance(link.name, ast.Label) else link.name.id
        again, first_place, first = place.part.named[name]
        if link.arguments is not None:
            assert isinstance(again, ast.Layer | ast.Lines)
            names = [a.name.id for a in link.arguments if a.name is not None]
            kept = [a for a in again.arguments or () if a.name is None or a.name.id not in names]
            again = replace(again, arguments=(*kept, *link.arguments))
        before = len(place.part.members)
        result = self._link(again, value, replace(place, names=first_place.names))
        [second] = place.part.members[before:]
        pairs = zip(*(m.applied() if isinstance(m, Part) else [m] for m in (first, second)), strict=True)
        for one, other in pairs:
            other.source, other.is_frozen = one.source or one, one.is_frozen
        taken = {m.label for m in place.part.members}
        suffixes = ("", *map(str, range(2, len(taken) + 3)))
        second.label = next(s for s in (f"{first.label}_again{k}" for k in suffixes) if s not in taken)
        return result

    def _word(self, link: ast.Layer, value: int | None, place: Place, *, is_first: bool) -> int | None:
        """What a word of a chain names: a value, a block or a layer."""
        name = link.name.id
        if is_first and link.arguments is None and name in place.values:
            return self._value(name, place)
        if name in place.blocks:
            given, around = place.blocks[name]
            arguments = link.arguments if given.arguments is None else given.arguments
            around = replace(around, names=around.names if link.arguments is None else place.names, part=place.part)
            return self._word(ast.Layer(link.span, given.name, arguments), value, around, is_first=False)
        found = self.files.block(name, place.file)
        if found is not None:
            return self._call(*found, link, value, place)
        if is_first and link.arguments is None and name in place.stages and name not in vocabulary():
            return self._value(name, place)
        if name == "attention":
            return self._lines(braced(link), value, place)
        layer, others = self._layer(link, place)
        return self._apply(layer, (value, *others), place.part)

    def _value(self, name: str, place: Place) -> int:
        """The value of a name that a chain begins with; one given by `as` is meant before a stage."""
        return self._read(place.values[name] if name in place.values else place.stages[name])

    def _merge(self, link: ast.Merge, value: int | None, place: Place) -> int | None:
        if link.name.id == "grid":
            return self._on_grid(link, value, place)
        inside = place.inside(value, self._shape(value))
        branches = tuple(self._chain(branch, value, inside) for branch in link.branches)
        return self._apply(self._layer(link, place)[0], branches, place.part)

    def _on_grid(self, link: ast.Merge, value: int | None, place: Place) -> int | None:
        """A chain for the positions; where tokens stand beside them, they are put beside the result."""
        shape = self._shape(value)
        has_tokens = shape is not None and bool(shape.tokens)
        grid = self._apply(vocabulary()["select"](part="grid"), (value,), place.part) if has_tokens else value
        [chain] = link.branches
        result = self._chain(chain, grid, place.inside(grid, self._shape(grid)))
        return self._apply(vocabulary()["grid"](), (value, result), place.part) if has_tokens else result

    def _choose(self, link: ast.Choose, value: int | None, place: Place) -> int | None:
        taken = link.then if evaluate(link.test, place.names) else link.otherwise
        if isinstance(taken, ast.Choose):
            return self._choose(taken, value, place)
        return value if taken is None else self._chain(taken, value, place)

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
        outside = self.globals if file.is_spec else self.files.names(file, self.globals)
        names = outside.new_child({"in": self._shape(value)})
        given = matched(link, [p.name.id for p in block.parameters])
        values: dict[str, int] = {}
        blocks: dict[str, tuple[ast.Layer, Place]] = {}
        part = Part(block.name.id, entry=value, is_block=True)
        inside = Place(names, part, values, file, blocks=blocks, entering=value)
        for parameter in block.parameters:
            name = parameter.name.id
            if parameter.type is not None and parameter.type.names[0].id == "block":
                given_here = name in given
                expr = given[name] if given_here else parameter.default
                assert expr is not None
                blocks[name] = self._given(expr, place if given_here else inside)
            elif parameter.type is not None and parameter.type.names[0].id == "value":
                value_name = given[name]
                assert isinstance(value_name, ast.Name | ast.Label)
                read = filled(value_name, place.names) if isinstance(value_name, ast.Label) else value_name.id
                values[name] = place.values[read] if read in place.values else place.stages[read]
            elif name in given:
                names[name] = typed(evaluate(given[name], place.names), parameter.type)
            else:
                assert parameter.default is not None
                names[name] = typed(evaluate(parameter.default, names), parameter.type)
        for statement in block.lets:
            let(statement, names)
        part.exit = self._chain(block.chain, value, inside)
        if block.spelling is None:
            place.part.members.append(part)
        else:  # of one layer, which stands at the place of the call
            [spelt] = part.members
            spelt.label = ""
            place.part.members.append(spelt)
        return part.exit

    def _given(self, expr: ast.Expr, place: Place) -> tuple[ast.Layer, Place]:
        """The layer or block that a parameter of a block stands for, and where its arguments are read."""
        if isinstance(expr, ast.Conditional):
            return self._given(expr.then if evaluate(expr.test, place.names) else expr.otherwise, place)
        if isinstance(expr, ast.Call):
            return ast.Layer(expr.span, expr.name, expr.arguments), place
        assert isinstance(expr, ast.Name)
        if expr.id in place.blocks:
            return place.blocks[expr.id]
        is_word = expr.id in place.names and isinstance(place.names[expr.id], Symbol)  # of a parameter of the spec
        return ast.Layer(expr.span, ast.Name(expr.span, place.names[expr.id].name) if is_word else expr, None), place

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
                values[name] = cls.attributes[name].convert(plain(_value(cls.attributes[name], expr, place.names)))
        layer = cls(**values)
        if cls.kind == "roi_align" and not layer.values()["stride"]:  # the size of the first video tells the scale
            others.append(next(iter(self.videos.values())))
        return layer, tuple(others)


def braced(link: ast.Layer) -> ast.Lines:
    """An attention without braces has plain projections; keys of few heads have few channels."""
    given = {k: v.span.text for k, v in matched(link, ["heads"]).items()}
    first = "qkv: linear(in.channels)"
    if "kv_heads" in given:
        keys = f"in.channels*({given['kv_heads']}) // ({given.get('heads', '1')})"
        first = f"q: linear(in.channels)\nkv: linear({keys})"
    text = f"block b() {{\nattention {{\n{first}\nproj: linear(in.channels)\n}}\n}}\n"
    [block] = parse(Source("lines", text)).statements
    assert isinstance(block, ast.Block)
    lines = block.chain.steps[0].link
    assert isinstance(lines, ast.Lines)
    return replace(lines, arguments=link.arguments)


def _value(attribute: Attribute[Any], expr: ast.Expr, names: Names) -> Value:
    """A value; a name of tokens stands for itself, unless it is that of a word."""
    is_name = isinstance(attribute, TokenName) and isinstance(expr, ast.Name)
    if is_name and not isinstance(names.get(expr.id), Symbol):
        return Symbol(expr.id)
    return evaluate(expr, names)


def matched(link: ast.Layer | ast.Merge, names: Sequence[str]) -> dict[str, ast.Expr]:
    """The arguments by their names: those without one by position."""
    return {a.name.id if a.name is not None else names[k]: a.value for k, a in enumerate(link.arguments or ())}
