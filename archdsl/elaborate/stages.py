"""Stages: their lines path by path, and the laterals between paths."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note, did_you_mean, one_of
from archdsl.core.names import why_refused
from archdsl.core.values import Symbol, Unknown, describe
from archdsl.elaborate.context import Context
from archdsl.elaborate.labels import fill_label
from archdsl.elaborate.replaced import StageAt, first_line
from archdsl.frontend import ast
from archdsl.ir.regions import Fusion, Lateral, Stage
from archdsl.layers import vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.diagnostics import SpecError
    from archdsl.elaborate.expansion import Expansion
    from archdsl.elaborate.replaced import Replacements
    from archdsl.elaborate.scope import Scope

FUSIONS = {"concat": "concat", "sum": "add", "product": "multiply", "max": "max"}  # the layer of each word behind `by`


@dataclass
class _StageParts:
    """The regions that the lines of one stage fill."""

    label: str
    stages: dict[str, Stage] = field(default_factory=dict[str, Stage])  # by path
    laterals: list[Lateral] = field(default_factory=list[Lateral])


class StageExpander:
    """Expansion of stages, in which those of variants replace those of their bases."""

    def __init__(self, expansion: Expansion, replacements: Replacements) -> None:
        self.expansion = expansion
        self.program = expansion.program
        self.evaluator = expansion.evaluator
        self.reporter = expansion.reporter
        self.replacements = replacements
        self.paths = expansion.paths

    def expand(self, statement: ast.Stage, scope: Scope) -> None:
        """Add a stage of the root, or what a variant has in its place."""
        label = fill_label(statement.label, scope, self.evaluator)
        if label is None:
            return
        if (new := self.replacements.added.pop(label, None)) is not None:
            notes = [Note("the base's stage", statement.label.span)]
            hint = "without `after`, it takes the place of the base's stage; a new stage has a label of its own"
            self.reporter.report("E0203", new.label.span, f"the base has a stage `{label}`", notes, hint)
            return
        if statement.after is not None:
            hint = "`after` is for variants: move the stage to its place, and leave it out"
            self.reporter.report("E0105", statement.after.span, "a stage stands where it is written", hint=hint)
        if not self.paths:
            self._implicit_path(statement)
        self._change(label, StageAt(statement, scope, len(self.program.files) - 1))

    def _change(self, label: str, base: StageAt) -> None:
        """Add a stage as the variants change it, and those that they add behind it."""
        at = self.replacements.replace(label, base, self._path_name())
        if not at.is_dropped:
            self._add(label, base, at)
        for name, new in self.replacements.behind(label):
            self._change(name, new)

    def _add(self, label: str, base: StageAt, at: StageAt) -> None:
        """Add a stage, which has the place of `base`."""
        places = self.evaluator.faults.places
        self.expansion.module = self.program.modules[at.level]
        if at.level != base.level:
            places.replaced, places.replaced_line = base.scope, first_line(base.stage.body)
        regions = self._stage_at(at.stage, at.scope, label)
        if at.frozen_by is not None:
            places.replaced = base.scope
        is_frozen = self._is_frozen(*at.freezing)
        for region in regions:
            region.frozen = is_frozen
        places.replaced = places.replaced_line = None
        self.expansion.module = self.program.modules[-1]

    def _path_name(self) -> str:
        """Return the path that lines without a name run on; empty if that has none, or several are there."""
        return next(iter(self.paths)) if len(self.paths) == 1 else ""

    def refuse(self, statement: ast.Freeze, _scope: Scope) -> None:
        """Report `stage NAME frozen` without lines in a spec that extends no other."""
        label = "there is no base whose stage this freezes"
        hint = f"give the stage its lines, `stage {statement.label.text} frozen {{ CHAIN }}`"
        self.reporter.report("E0105", statement.span, label, hint=hint)

    def _stage_at(self, statement: ast.Stage, scope: Scope, label: str) -> Sequence[Stage | Lateral]:
        refused = why_refused(label)
        if refused:
            self.reporter.report("E0204", statement.label.span, refused)
        if self.expansion.outputs:
            text, hint = "a stage stands before the `head`, which reads it", "move it above the `head`"
            self.reporter.report("E0105", statement.label.span, text, hint=hint)
        if label in self.expansion.stages or label in ("head", "input"):
            notes = [Note("first here", self.expansion.stages[label].span)] if label in self.expansion.stages else []
            self.reporter.report("E0203", statement.label.span, f"a second stage `{label}`", notes, self._free(label))
        self.expansion.stages[label] = statement.label
        parts = _StageParts(label)
        self._stage_body(statement.body, scope.child(), parts)
        self._end(parts)
        return (*parts.stages.values(), *parts.laterals)

    def _end(self, parts: _StageParts) -> None:
        """Make the value of the path that runs through a stage that of its label; of several paths, none."""
        paths = [*parts.stages, *(lateral.target for lateral in parts.laterals)]
        paths = list(dict.fromkeys(paths or (self.paths if len(self.paths) == 1 else ())))
        if len(paths) == 1:
            self.expansion.stage_values[parts.label] = self.paths[paths[0]]
        self.expansion.applier.names.ended[parts.label] = paths

    def _free(self, label: str) -> str:
        """Return a hint with a label that no stage has."""
        stem = label.rstrip("0123456789")
        number = label[len(stem) :]
        free = next(f"{stem}{n}" for n in count(int(number or 1) + 1) if f"{stem}{n}" not in self.expansion.stages)
        return f"give it a label of its own, such as `{free}`"

    def _is_frozen(self, frozen: ast.Frozen | None, scope: Scope) -> bool:
        if frozen is None or frozen.test is None:
            return frozen is not None
        return self.evaluator.truth(frozen.test, scope) is True

    def _implicit_path(self, statement: ast.Stage) -> None:
        """Begin a path without a name: a spec of one input needs no `path`."""
        flow = self.expansion.only_input()
        if flow is not None:
            self.paths[""] = flow
        elif self.expansion.videos:
            raise self._several_inputs(statement)
        else:
            raise self.expansion.no_input(statement)

    def _several_inputs(self, statement: ast.Stage) -> SpecError:
        """Report inputs without paths, at the input that a variant adds to those of its base, if it does."""
        names = list(self.expansion.videos)
        new = [name for name in names if name in self.program.added]
        if new and len(new) < len(names):
            base = next(name for name in names if name not in new)
            label = f"`{new[0]}` is a second input, and the base has no paths"
            hint = f"`input {base}: video[…]` replaces the base's input; two inputs need a path each"
            return self.reporter.fatal("E0602", self.program.added[new[0]], label, hint=hint)
        paths = ", ".join(f"`path {name}_path = {name}`" for name in names)
        hint = f"each input begins a path: {paths}; a line of a stage then begins with its path, `{names[0]}_path: …`"
        return self.reporter.fatal("E0602", statement.label.span, f"{len(names)} inputs and no path", hint=hint)

    def _stage_body(self, body: Sequence[ast.Statement], scope: Scope, parts: _StageParts) -> None:
        for statement in body:
            if isinstance(statement, ast.PathLine):
                self._path_line(statement, scope, parts)
            elif isinstance(statement, ast.Lateral):
                self._lateral(statement, scope, parts)
            elif isinstance(statement, ast.Let):
                self.evaluator.bind(statement, scope)
            elif isinstance(statement, ast.If):
                truth = self.evaluator.truth(statement.test, scope)
                if not isinstance(truth, Unknown):
                    self._stage_body(statement.body if truth else statement.otherwise, scope.child(), parts)

    def _path_line(self, line: ast.PathLine, scope: Scope, parts: _StageParts) -> None:
        path = self._which_path(line)
        if path is None:
            return
        stage = parts.stages.setdefault(path, Stage(path=path, stage=parts.label, span=line.span))
        self.paths[path] = self.expansion.line(line.chain, self.paths[path], stage, scope)

    def _which_path(self, line: ast.PathLine) -> str | None:
        if line.path is None:
            if len(self.paths) == 1:
                return next(iter(self.paths))
            first = next(iter(self.paths))
            lines = " or ".join(f"`{p}: {line.span.text if p == first else '…'}`" for p in self.paths)
            hint = f"begin the line with its path: {lines}"
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
        self.expansion.applier.values.read.add(source.id)
        side = self.expansion.line(lateral.chain, flow, part, scope)
        fusion = self._fusion(lateral, scope)
        if fusion is None:
            return
        joint = Fusion(path=target.id, stage=parts.label)
        context = Context(scope, joint, self.expansion.module)
        layer = vocabulary()[FUSIONS[fusion]](keeps_first=True)
        flows = (self.paths[target.id], side)
        self.paths[target.id] = self.expansion.nodes.apply(layer, flows, context, lateral)
        joint.exit = self.paths[target.id].node
        self.expansion.regions[joint] = None

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
