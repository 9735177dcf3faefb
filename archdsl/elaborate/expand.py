"""A program to a graph: statements in order, stages filled path by path, paths joined."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import Note, SpecError, did_you_mean, one_of
from archdsl.core.grid import MAX_ELEMENTS, SIZE_HINT, Grid, count_text
from archdsl.core.names import why_no_input, why_refused
from archdsl.core.values import UNKNOWN, Symbol, Unknown, describe
from archdsl.elaborate.apply import ChainApplier
from archdsl.elaborate.context import Context, Flow
from archdsl.elaborate.dense import check_dense
from archdsl.elaborate.faults import declared_inside
from archdsl.elaborate.graph import GraphBuilder
from archdsl.elaborate.labels import assign_labels
from archdsl.elaborate.replaced import Replacements, StageAt, fill_label
from archdsl.elaborate.scope import Round
from archdsl.elaborate.unread import (
    live_nodes,
    report_unread_inputs,
    report_unread_lines,
    report_unread_paths,
    stretches_of,
)
from archdsl.elaborate.unused_blocks import check_unused_blocks
from archdsl.frontend import ast
from archdsl.ir.network import Network
from archdsl.ir.regions import Fusion, Head, InputPlace, Lateral, PathStart, Stage
from archdsl.layers import vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.report import Reporter
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.parameters import ParameterScope
    from archdsl.elaborate.program import Program
    from archdsl.elaborate.scope import Scope
    from archdsl.ir.regions import Part

Clip = tuple[int, int, int, int]
INPUT_HINT = "`input clip: video[3, 16, 224, 224]` declares one, channels first"
FUSIONS = {"concat": "concat", "sum": "add"}


def expand(
    program: Program, scope: ParameterScope, evaluator: Evaluator, reporter: Reporter, clip: Clip | None
) -> Network:
    """The network that a program describes, with the shape of every value.

    Raises:
        SpecError: with all faults found, the reporter's earlier ones included.
    """
    expander = _Expander(program, scope, evaluator, reporter, clip)
    expander.run()
    network = expander.finish()
    check_unused_blocks(program, expander.applier, reporter)
    if reporter.failed or network is None:
        raise SpecError(reporter.diagnostics)
    assign_labels(network, reporter)
    if reporter.failed:
        raise SpecError(reporter.diagnostics)
    return network


@dataclass
class _StageParts:
    """What the lines of one stage make."""

    label: str
    stages: dict[str, Stage] = field(default_factory=dict[str, Stage])  # by path
    laterals: list[Lateral] = field(default_factory=list[Lateral])


class _Expander:
    def __init__(
        self, program: Program, scope: ParameterScope, evaluator: Evaluator, reporter: Reporter, clip: Clip | None
    ) -> None:
        self.program = program
        self.scope = scope
        self.evaluator = evaluator
        self.reporter = reporter
        self.clip = clip
        self.nodes = GraphBuilder(evaluator, reporter)
        self.graph = self.nodes.graph
        self.regions: dict[Part, None] = {}  # in the order of data flow
        self.inputs: dict[str, Flow] = {}
        self.indices: dict[str, Flow] = {}
        self.declared: tuple[int | Unknown, ...] = ()  # size of the first input
        self.paths: dict[str, Flow] = {}
        self.module = program.modules[0]  # the file whose statement is expanded
        self.scopes: list[Scope] = [scope.child() for _ in program.files[:-1]] + [scope]  # of each file
        evaluator.places.declared = dict(declared_inside(placed.statement for placed in program.statements))
        self.replacements = Replacements(program, self.scopes, evaluator, reporter)
        self.named: dict[str, Flow] = {}
        self.stages: dict[str, ast.Label] = {}
        self.output: Flow | None = None
        self.head: ast.Head | None = None
        self.parameters_hold = scope.holds  # else loops over them may have made too few stages
        self.applier = ChainApplier(self.nodes, evaluator, vocabulary(), scope)
        self.applier.names.dropped = program.dropped
        self._handlers: dict[type, Any] = {
            ast.Input: self._input, ast.Path: self._path, ast.Stage: self._stage, ast.For: self._for, ast.If: self._if,
            ast.Let: self._let, ast.Head: self._head,
        }  # fmt: skip

    def run(self) -> None:
        """Expand the program's statements, each in the names of its own file."""
        for placed in self.program.statements:
            self.module = self.program.modules[placed.level]
            self.statements((placed.statement,), self.scopes[placed.level])

    def statements(self, statements: Sequence[ast.Statement], scope: Scope) -> None:
        for statement in statements:
            self._handlers[type(statement)](statement, scope)

    # --- statements ---

    def _input(self, statement: ast.Input, scope: Scope) -> None:
        name = statement.name
        if statement.kind.id == "index":
            self._index(statement, scope)
            return
        if statement.kind.id != "video":
            hint = did_you_mean(statement.kind.id, ["video", "index"])
            self.reporter.report(
                "E0301", statement.kind.span, f"unknown kind of input `{statement.kind.id}`", hint=hint
            )
        self._check_new(name, self.inputs, why_no_input(name.id))
        shape = self._clip_shape(statement, scope)
        layer = vocabulary()["input"]()
        self.inputs[name.id] = self.nodes.add_node(layer, (), shape, InputPlace(), statement.span)

    def _index(self, statement: ast.Input, scope: Scope) -> None:
        """Numbers of the clip's frames, for layers that ask for them by name."""
        name = statement.name
        sizes = [self.evaluator.whole(e, scope, minimum=1) for e in statement.shape.items]
        hint = "`input frame_index: index[frames]`, behind that of the video"
        if not self.inputs:
            self.reporter.report("E0301", statement.shape.span, "no video is declared before its frames", hint=hint)
            return
        if len(sizes) != 1:
            label = f"an index has one size, the frames, found {len(sizes)}"
            self.reporter.report("E0301", statement.shape.span, label, hint=hint)
            return
        self._check_new(name, {**self.inputs, **self.indices}, why_no_input(name.id))
        frames = self._frames() if sizes[0] in self.declared[:1] else sizes[0]
        shape = UNKNOWN if isinstance(frames, Unknown) else Grid(1, frames, 1, 1)
        layer = vocabulary()["index"]()
        self.indices[name.id] = self.nodes.add_node(layer, (), shape, InputPlace(), statement.span)
        self.applier.binder.indices = self.applier.names.indices = dict(self.indices)

    def _frames(self) -> int | Unknown:
        """The frames of the first input, as the user has set them or as they are declared."""
        shape = next(iter(self.inputs.values())).shape
        return UNKNOWN if isinstance(shape, Unknown) else shape.t

    def _clip_shape(self, statement: ast.Input, scope: Scope) -> Grid | Unknown:
        sizes = [self.evaluator.whole(e, scope, minimum=1) for e in statement.shape.items]
        if len(sizes) != 4:
            label = f"a video has four sizes [channels, frames, height, width], found {len(sizes)}"
            self.reporter.report("E0301", statement.shape.span, label)
            return UNKNOWN
        c, t, h, w = sizes
        first = not self.inputs
        if first:
            self.declared = (t, h, w)
        if self.clip is not None and first:
            return self._held(Grid(*self.clip), statement)
        if isinstance(c, Unknown) or isinstance(t, Unknown) or isinstance(h, Unknown) or isinstance(w, Unknown):
            return UNKNOWN
        if self.clip is not None and (t, h, w) == self.declared:
            _, t, h, w = self.clip
        return self._held(Grid(c, t, h, w), statement)

    def _held(self, shape: Grid, statement: ast.Input) -> Grid | Unknown:
        """The shape of a clip that a machine can hold, or UNKNOWN after a fault."""
        if shape.elements <= MAX_ELEMENTS:
            return shape
        label = f"a clip of {shape} has {count_text(shape.elements)} numbers, at most {MAX_ELEMENTS:,}"
        return self.evaluator.fault("E0707", statement.shape.span, label, SIZE_HINT)

    def _path(self, statement: ast.Path, scope: Scope) -> None:
        name = statement.name
        self._check_new(name, self.paths, why_refused(name.id))
        self.paths[name.id] = self._line(statement.chain, self._only_input(), PathStart(path=name.id), scope)

    def _only_input(self) -> Flow | None:
        return next(iter(self.inputs.values())) if len(self.inputs) == 1 else None

    def _for(self, statement: ast.For, scope: Scope) -> None:
        for inner in self.evaluator.loop(statement.names, statement.iterable, scope):
            for name in statement.names:
                rounds = Round(name.id, statement.iterable.span, 0, is_index=False)
                inner.names[name.id].rounds = rounds
            self.statements(statement.body, inner)

    def _if(self, statement: ast.If, scope: Scope) -> None:
        truth = self.evaluator.truth(statement.test, scope)
        if not isinstance(truth, Unknown):
            self.statements(statement.body if truth else statement.otherwise, scope.child())

    def _let(self, statement: ast.Let, scope: Scope) -> None:
        self.evaluator.bind(statement, scope)

    def _head(self, statement: ast.Head, scope: Scope) -> None:
        flow = self._only_path() if self.paths else self._only_input()
        self.head, self.output = statement, self._line(statement.chain, flow, Head(), scope)

    def _only_path(self) -> Flow | None:
        return next(iter(self.paths.values())) if len(self.paths) == 1 else None

    # --- stages ---

    def _stage(self, statement: ast.Stage, scope: Scope) -> None:
        label = fill_label(statement.label, scope, self.evaluator)
        if label is None:
            return
        if not self.paths:
            self._implicit_path(statement)
        root = len(self.program.files) - 1
        around = scope
        at = self.replacements.replace(label, StageAt(statement, scope, root), self._path_name())
        statement, scope, self.module = at.stage, at.scope, self.program.modules[at.level]
        self.evaluator.places.replaced = around if at.level != root else None
        self._stage_at(statement, scope, label)
        self.evaluator.places.replaced = None
        self.module = self.program.modules[root]

    def _path_name(self) -> str:
        """The path that lines without a name run on; empty if that has none, or several are there."""
        return next(iter(self.paths)) if len(self.paths) == 1 else ""

    def _stage_at(self, statement: ast.Stage, scope: Scope, label: str) -> None:
        refused = why_refused(label)
        if refused:
            self.reporter.report("E0204", statement.label.span, refused)
        if self.output is not None:
            self.reporter.report("E0105", statement.label.span, "a stage stands before the `head`, which reads it")
        if label in self.stages or label in ("head", "input"):
            notes = [Note("first here", self.stages[label].span)] if label in self.stages else []
            self.reporter.report("E0203", statement.label.span, f"a second stage `{label}`", notes)
        self.stages[label] = statement.label
        parts = _StageParts(label)
        self._stage_body(statement.body, scope.child(), parts)
        frozen = self._is_frozen(statement.frozen, scope)
        for part in (*parts.stages.values(), *parts.laterals):
            part.frozen = frozen

    def _is_frozen(self, frozen: ast.Frozen | None, scope: Scope) -> bool:
        if frozen is None or frozen.test is None:
            return frozen is not None
        return self.evaluator.truth(frozen.test, scope) is True

    def _implicit_path(self, statement: ast.Stage) -> None:
        """A spec of one input needs no `path`."""
        flow = self._only_input()
        if flow is not None:
            self.paths[""] = flow
        elif self.inputs:
            hint = "`path NAME = INPUT` says which input a path begins with"
            raise self.reporter.fatal(
                "E0602", statement.label.span, f"{len(self.inputs)} inputs and no path", hint=hint
            )
        else:
            raise self._no_input(statement)

    def _no_input(self, part: ast.Syntax) -> SpecError:
        label = "nothing has been declared that could flow here"
        return self.reporter.fatal("E0601", part.span, label, hint=INPUT_HINT)

    def _stage_body(self, body: Sequence[ast.Statement], scope: Scope, parts: _StageParts) -> None:
        for statement in body:
            if isinstance(statement, ast.PathLine):
                self._path_line(statement, scope, parts)
            elif isinstance(statement, ast.Lateral):
                self._lateral(statement, scope, parts)
            elif isinstance(statement, ast.Let):
                self._let(statement, scope)
            elif isinstance(statement, ast.If):
                truth = self.evaluator.truth(statement.test, scope)
                if not isinstance(truth, Unknown):
                    self._stage_body(statement.body if truth else statement.otherwise, scope.child(), parts)

    def _path_line(self, line: ast.PathLine, scope: Scope, parts: _StageParts) -> None:
        path = self._which_path(line)
        if path is None:
            return
        stage = parts.stages.setdefault(path, Stage(path=path, stage=parts.label, span=line.span))
        self.paths[path] = self._line(line.chain, self.paths[path], stage, scope)

    def _which_path(self, line: ast.PathLine) -> str | None:
        if line.path is None:
            if len(self.paths) == 1:
                return next(iter(self.paths))
            hint = "begin the line with " + " or ".join(f"`{p}:`" for p in self.paths)
            self.reporter.report("E0602", line.span, f"{len(self.paths)} paths run through this stage", hint=hint)
            return None
        if line.path.id in self.program.dropped:
            return None
        return line.path.id if self._known_path(line.path) else None

    def _known_path(self, name: ast.Name) -> bool:
        if name.id in self.paths:
            return True
        hint = did_you_mean(name.id, [p for p in self.paths if p]) or "this spec has one path, which needs no name"
        self.reporter.report("E0603", name.span, f"no path `{name.id}`", hint=hint)
        return False

    def _lateral(self, lateral: ast.Lateral, scope: Scope, parts: _StageParts) -> None:
        source, target = lateral.source, lateral.target
        if source.id in self.program.dropped or target.id in self.program.dropped:
            return
        if not (self._known_path(source) and self._known_path(target)):
            return
        flow = self.paths[source.id]
        part = Lateral(source=source.id, target=target.id, stage=parts.label, span=lateral.span, entry=flow.node)
        parts.laterals.append(part)
        self.applier.read.add(source.id)
        side = self._line(lateral.chain, flow, part, scope)
        fusion = self._fusion(lateral, scope)
        if fusion is None:
            return
        joint = Fusion(path=target.id, stage=parts.label)
        context = Context(scope, joint, self.module)
        layer = vocabulary()[FUSIONS[fusion]]()
        flows = (self.paths[target.id], side)
        self.paths[target.id] = self.nodes.apply(layer, flows, context, lateral)
        joint.exit = self.paths[target.id].node
        self.regions[joint] = None

    def _fusion(self, lateral: ast.Lateral, scope: Scope) -> str | None:
        if lateral.fusion is None:
            return "concat"
        value = self.evaluator.choice(lateral.fusion, scope, list(FUSIONS))
        if isinstance(value, Unknown):
            return None
        if isinstance(value, Symbol) and value.name in FUSIONS:
            return value.name
        label = f"expected {one_of(list(FUSIONS))}, found {describe(value)}"
        self.reporter.report("E0301", lateral.fusion.span, label)
        return None

    # --- lines ---

    def _line(self, chain: ast.Chain, flow: Flow | None, part: Part, scope: Scope) -> Flow:
        """Expands one line of the spec, which sees every path, input and named value."""
        if not self.inputs:
            raise self._no_input(chain)
        shape = flow.shape if flow is not None else None
        own: dict[str, Flow] = {}
        paths = {} if "" in self.paths else self.paths
        context = Context(scope.child(shape), part, self.module, values=ChainMap(own, self.named, paths, self.inputs))
        result = self.applier.apply(chain, flow, context)
        for name, value in own.items():
            if value.node == result.node:
                self.named[name] = value
            else:
                self.applier.names.hidden.add(name)
        part.exit = result.node
        self.regions.setdefault(part)
        return result

    def _check_new(self, name: ast.Name, existing: dict[str, Flow], refused: str) -> None:
        if not refused and name.id in vocabulary():
            refused = f"`{name.id}` is a layer"
        if not refused and name.id in self.module.blocks:
            refused = f"`{name.id}` is a block"
        if refused:
            self.reporter.report("E0204", name.span, refused)
        if name.id in existing or name.id in self.inputs:
            node = {**self.inputs, **existing}[name.id].node
            notes = [Note("first here", self.graph.nodes[node]["node"].span)] if node >= 0 else []
            self.reporter.report("E0203", name.span, f"`{name.id}` is defined before", notes)

    # --- the end ---

    def finish(self) -> Network | None:
        """Checks that are possible only when everything was read."""
        header = self.program.header
        refused = why_refused(header.name.id)
        if refused:
            self.reporter.report("E0204", header.name.span, refused)
        self._check_functions()
        self._check_variant()
        if not self.inputs:
            self.reporter.report("E0601", header.span, "this architecture has no input", hint=INPUT_HINT)
            return None
        if not self.regions:
            self.reporter.report(
                "E0605", header.span, "no stage and no head", hint="`stage NAME { … }` is one row of the table"
            )
            return None
        output = self.output or self._only_path()
        if output is None:
            names = ", ".join(f"`{p}`" for p in self.paths)
            hint = "`head: concat { a -> avgpool, b -> avgpool } -> linear(classes)`"
            self.reporter.report("E0606", header.span, f"the paths {names} do not come together", hint=hint)
            return None
        if not self.reporter.failed:  # what would have read a value may be faulty
            self.evaluator.memberships.report(self.scope.places(), self.evaluator)
            self._check_read(output)
            if self.head is not None:
                check_dense(self.graph, output.node, output.shape, self.head, self.reporter)
        return Network(
            name=header.name.id,
            family=self.program.family,
            doc=self.program.doc,
            citations=self.program.citations,
            graph=self.graph,
            regions=list(self.regions),
            inputs={n: f.node for n, f in {**self.inputs, **self.indices}.items()},
            output=output.node,
            order=list(self.graph),
            fixed_axes=frozenset(self.evaluator.sizes_used),
        )

    def _check_read(self, output: Flow) -> None:
        """Report inputs and paths that nothing reads."""
        live = live_nodes(self.graph, output.node)
        added, reporter = self.program.added, self.reporter
        inputs = {name: flow.node for name, flow in {**self.inputs, **self.indices}.items()}
        report_unread_inputs(self.graph, live, inputs, added, reporter)
        statements = [p.statement for p in self.program.statements]
        stretches = stretches_of(self.regions, self.paths)
        read = self.applier.read if len(self.paths) > 1 else self.paths.keys()
        paths = {s.name.id: s.name.span for s in statements if isinstance(s, ast.Path)}
        paths = {p: span for p, span in paths.items() if stretches[p] or p not in read}
        report_unread_paths(live, stretches, paths, added, reporter)
        report_unread_lines(self.graph, live, stretches, reporter)

    def _check_functions(self) -> None:
        """The module has a function `check_NAME` for each input, which nothing else may be called."""
        functions = {f"check_{name}" for name in self.inputs}
        names = [f.header.name for f in self.program.files[:1] if f.header]
        names += [f.header.family for f in self.program.files if f.header and f.header.family]
        names += [p.statement.name for p in self.program.statements if isinstance(p.statement, ast.Path)]
        for name in names:
            if name.id in functions:
                self.reporter.report("E0204", name.span, f"`{name.id}` is used by the generated code itself")

    def _check_variant(self) -> None:
        if self.parameters_hold:
            self.replacements.check(self.stages)
