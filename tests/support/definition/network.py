"""Statements: the applications of layers in the order of the text."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid
from archdsl.frontend import ast
from archdsl.layers import vocabulary
from definition.chains import Chains, Place
from definition.files import File, Files, Merged
from definition.lines import Attended
from definition.names import Applied, Part, name_members
from definition.values import Names, Parameters, evaluate, filled, let, loop

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archdsl.layers.base import Layer


class Definition(Chains):
    """The network of a program.

    Args:
        name: of the spec.
        texts: of all files, by name.
        parameters: values in the place of those of the text.
        clips: the size of inputs, likewise.
    """

    def __init__(
        self,
        name: str,
        texts: Mapping[str, str],
        parameters: Mapping[str, Any] | None = None,
        clips: Mapping[str, Grid] | None = None,
    ) -> None:
        files = Files(name, texts)
        self.program = Merged(files)
        known = Parameters(self.program.defaults, parameters or {}, self.program.types)
        super().__init__(files, ChainMap(known), {})
        files.names(files.family[0], self.globals)
        self.clips = clips or {}
        self.applied: list[Applied] = []
        self.inputs: dict[str, int] = {}  # with which chains can begin
        self.videos: dict[str, int] = {}
        self.paths: dict[str, int] = {}  # where each path is; "" is one that has no name
        self.named: dict[str, int] = {}  # values that `as` has named for the whole spec
        self.stage_values: dict[str, int] = {}
        self.changed: dict[str, None] = {}  # paths that the stage in hand has changed
        self.parts: dict[str, Part] = {}  # of the network, by the prefix of their tensors
        self.outputs: dict[str, int] = {}  # by the name of the head; "" of one without
        # What stands at the top of the oldest base is known to the whole spec; a variant's own names are its own.
        self.tops = {f: self.globals if f.base is None else self.globals.new_child() for f in files.family}
        self.replaced: dict[str, tuple[ast.Stage, Names, File]] = {}
        self.behind: dict[str, list[str]] = {}  # stages that a variant adds, by the one that they follow
        self.frozen: dict[str, tuple[ast.Frozen, Names]] = {}  # by a later `stage NAME frozen`
        for statement, file in self.program.replacements:
            self._collect([statement], self.tops[file], file)
        for statement, file in self.program.statements:
            self._run([statement], self.tops[file], file)
        if not self.outputs:
            [self.outputs[""]] = self.paths.values()
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
                    if statement.after is not None and label not in self.behind.setdefault(statement.after.id, []):
                        self.behind[statement.after.id].append(label)
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
                        statement.chain, self._only(self.videos), f"{path}.input", names, file
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
                    begin = self._only(self.paths or self.videos)
                    name = statement.name.id if statement.name is not None else ""
                    prefix = f"head.{name}" if name else "head"
                    self.outputs[name] = self._line(statement.chain, begin, prefix, names, file)
                case _:
                    raise AssertionError(statement)

    def _input(self, statement: ast.Input, names: Names) -> None:
        sizes = [int(evaluate(e, names)) for e in statement.shape.items]
        name, kind = statement.name.id, statement.kind.id
        own = {"video": "input", "index": "index"}
        layer = vocabulary()[own.get(kind, f"{kind} input")]()
        first, *rest = sizes
        if kind == "video":
            shape = Grid(*sizes)
        elif kind == "spectrogram":
            shape = Grid(first, rest[0], 1, rest[1])
        elif kind == "mask":
            shape = Grid(1, *sizes)
        else:
            shape = {"index": Grid(1, first, 1, 1), "boxes": Grid(4, first, 1, 1), "vector": Grid(first, 1, 1, 1)}[kind]
        self.applied.append(Applied(layer, (), self.clips.get(name, shape), name=name))
        number = len(self.applied) - 1
        if kind == "video":
            self.videos[name] = number
        (self.indices if kind in {"index", "boxes", "mask"} else self.inputs)[name] = number

    def all_inputs(self) -> dict[str, int]:
        """Inputs as declared, but those of frame numbers, which calls can leave out, behind all others."""
        numbers = {**self.inputs, **self.indices}
        order = sorted(numbers, key=lambda name: (self.applied[numbers[name]].kind == "index", numbers[name]))
        return {name: numbers[name] for name in order}

    def _stage(self, statement: ast.Stage, names: Names, file: File) -> None:
        label = filled(statement.label, names)
        if not self.paths:
            [self.paths[""]] = self.videos.values()
        statement, names, file = self.replaced.get(label, (statement, names, file))
        before = len(self.applied)
        self.changed.clear()
        self._items(statement.body, names.new_child(), label, file)
        [*changed] = self.changed or (self.paths if len(self.paths) == 1 else ())
        if len(changed) == 1:  # of several paths, none is the stage's
            self.stage_values[label] = self.paths[changed[0]]
        frozen, names = self.frozen.get(label, (statement.frozen, names))
        if frozen is not None and (frozen.test is None or evaluate(frozen.test, names)):
            for applied in self.applied[before:]:
                applied.is_frozen = True
        for new in self.behind.get(label, ()):
            self._stage(*self.replaced[new])

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
                        self.changed[name] = None
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
        word = evaluate(lateral.fusion, names).name if lateral.fusion is not None else "concat"
        fusion = vocabulary()[{"sum": "add", "product": "multiply"}.get(word, word)]()
        self.changed[target] = None
        self.paths[target] = self._apply(fusion, (self.paths[target], side), Part("fusion"))

    # --- chains of the network ---

    def _line(self, chain: ast.Chain, begin: int | None, prefix: str, names: Names, file: File) -> int:
        """Run a chain of the spec. What `as` names at its end is known to the lines that follow."""
        part = self.parts.setdefault(prefix, Part("line"))
        values = {**self.inputs, **{p: v for p, v in self.paths.items() if p}, **self.named}
        place = Place(names, part, dict(values), file, self.stage_values).inside(begin, self._shape(begin))
        end = part.exit = self._chain(chain, begin, place)
        assert end is not None
        self.named |= {name: v for name, v in place.values.items() if name not in values and v == end}
        return end

    def _only(self, values: Mapping[str, int]) -> int | None:
        return next(iter(values.values())) if len(values) == 1 else None

    def _shape(self, value: int | None) -> Grid | None:
        return None if value is None else self.applied[value].shape

    def _lines(self, link: ast.Lines, value: int | None, place: Place) -> int:
        assert value is not None
        attended = Attended(self, link, self.applied[value].shape, place)
        shapes = [self.applied[i].shape for i in (value, *attended.outside)]
        return self._add(Applied(attended, (value, *attended.outside), attended.infer(*shapes)), place.part)

    def _apply(self, layer: Layer, inputs: tuple[int | None, ...], part: Part) -> int:
        operands = tuple(i for i in inputs if i is not None)
        assert len(operands) == len(inputs), layer.kind
        return self._add(Applied(layer, operands, layer.infer(*(self.applied[i].shape for i in operands))), part)

    def _add(self, applied: Applied, part: Part) -> int:
        self.applied.append(applied)
        part.members.append(applied)
        return len(self.applied) - 1
