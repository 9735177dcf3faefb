"""Stages of variants, which replace those of their bases, with warnings about left-out parts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note, did_you_mean
from archdsl.core.report import Reporter
from archdsl.core.values import Unknown
from archdsl.elaborate.evaluate import Evaluator
from archdsl.elaborate.labels import fill_label
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from archdsl.core.source import Span
    from archdsl.elaborate.program import Program
    from archdsl.elaborate.scope import Scope

_NEW_STAGE = "`stage {} after NAME {{ … }}` adds one behind the stage NAME"


@dataclass(frozen=True, eq=False)
class StageAt:
    """A stage with the scope of its body and the level of its file, 0 for the spec itself."""

    stage: ast.Stage
    scope: Scope
    level: int
    is_dropped: bool = False  # the stage is empty
    frozen_by: FrozenBy | None = None  # a later `stage NAME frozen`, instead of the stage's own `frozen`

    @property
    def label(self) -> ast.Label:
        """Label as written."""
        return self.stage.label

    @property
    def freezing(self) -> tuple[ast.Frozen | None, Scope]:
        """`frozen` that counts, if any, with the scope of its condition."""
        if self.frozen_by is not None:
            return self.frozen_by.statement.frozen, self.frozen_by.scope
        return self.stage.frozen, self.scope.child()


@dataclass(frozen=True, eq=False)
class FrozenBy:
    """`stage NAME frozen` of a variant, with its scope and the level of its file."""

    statement: ast.Freeze
    scope: Scope
    level: int

    @property
    def label(self) -> ast.Label:
        """Label as written."""
        return self.statement.label


class Replacements:
    """The stages of a program's variants, by label."""

    def __init__(self, program: Program, scopes: Sequence[Scope], evaluator: Evaluator, reporter: Reporter) -> None:
        self.program = program
        self.evaluator = evaluator
        self.reporter = reporter
        self.stages: dict[str, list[StageAt | FrozenBy]] = {}  # changes by label, the oldest first
        self.dropped: set[str] = set()  # labels of stages that a variant drops
        self.added: dict[str, StageAt] = {}  # stages that a variant adds, by label, the oldest first
        for placed in program.replacements:
            if isinstance(drop := placed.statement, ast.Drop):
                empty = ast.Stage(drop.span, ast.Label(drop.name.span, drop.name.id), None, ())
                self._add(StageAt(empty, scopes[placed.level], placed.level, is_dropped=True))
            else:
                self._collect((placed.statement,), scopes[placed.level], placed.level)

    def _collect(self, statements: Iterable[ast.Statement], scope: Scope, level: int) -> None:
        for statement in statements:
            match statement:
                case ast.Stage() | ast.Freeze():
                    self._add(_change(statement, scope, level))
                case ast.For():
                    for inner in self.evaluator.loop(statement.names, statement.iterable, scope):
                        self._collect(statement.body, inner, level)
                case ast.If():
                    truth = self.evaluator.truth(statement.test, scope)
                    if not isinstance(truth, Unknown):
                        self._collect(statement.body if truth else statement.otherwise, scope.child(), level)
                case ast.Let():
                    self.evaluator.bind(statement, scope)
                case _:
                    raise AssertionError

    def _add(self, change: StageAt | FrozenBy) -> None:
        place = change.label
        label = fill_label(place, change.scope, self.evaluator)
        if label is None:
            return
        before = [*([self.added[label]] if label in self.added else []), *self.stages.get(label, ())]
        is_new = isinstance(change, StageAt) and change.stage.after is not None
        if before and (is_new or before[-1].level == change.level):
            note = Note("first here", before[-1].label.span)
            hint = "without `after`, it takes the place of the base's stage" if before[-1].level != change.level else ""
            self.reporter.report("E0203", place.span, f"a second stage `{label}`", [note], hint)
        elif isinstance(change, StageAt) and is_new:
            self.added[label] = change
        else:
            self.stages.setdefault(label, []).append(change)

    def behind(self, label: str) -> list[tuple[str, StageAt]]:
        """Return the labels and stages that variants add behind a stage, in order."""
        return [(n, new) for n, new in self.added.items() if new.stage.after and new.stage.after.id == label]

    def check(self, known: Collection[str]) -> None:
        """Report changes of stages that the base does not have, and stages that are added behind such."""
        for new in self.added.values():
            after = new.stage.after
            if after is not None and after.id not in known and after.id not in self.dropped:
                hint = did_you_mean(after.id, known)
                self.reporter.report("E0604", after.span, f"the base has no stage `{after.id}`", hint=hint)
        for label, changes in self.stages.items():
            if label not in {*known, *self.dropped, *self.added}:
                place = changes[0].label.span
                hint = did_you_mean(label, known)
                if hint and isinstance(new := changes[-1], StageAt) and not new.is_dropped:
                    hint = f"{hint}{' ' if hint.endswith('?') else '; '}{_NEW_STAGE.format(label)}"
                self.reporter.report("E0604", place, f"the base has no stage `{label}`", hint=hint)

    def replace(self, label: str, base: StageAt, only_path: str) -> StageAt:
        """Return a stage of the root as the variants change it, and warn about parts that the last one leaves out.

        Args:
            label: the label of the stage.
            base: the root's stage.
            only_path: the path of lines without a name; empty if there are several paths, or it is unnamed.
        """
        versions = self._versions(label, base)
        new = versions[-1]
        if new.is_dropped:
            self.dropped.add(label)
            if versions[-2].is_dropped:
                self._report_dropped(label, new.label, versions[-2])
        elif not has_lines(new.stage.body):
            self._warn_empty(label, versions, only_path)
        elif len(versions) > 1:
            self._warn_left_out(label, versions[-2], new, only_path)
        return new

    def _versions(self, label: str, base: StageAt) -> list[StageAt]:
        """Return the stages that take each other's place, the oldest first, frozen where a variant freezes them."""
        versions = [base]
        for change in self.stages.get(label, ()):
            if isinstance(change, StageAt):
                versions.append(change)
            elif versions[-1].is_dropped:
                self._report_dropped(label, change.label, versions[-1])
            else:
                versions[-1] = replace(versions[-1], frozen_by=change)
        return versions

    def _report_dropped(self, label: str, place: ast.Label, dropped: StageAt) -> None:
        notes = [Note("dropped here", dropped.label.span)]
        self.reporter.report("E0604", place.span, f"the base has dropped `{label}`", notes)

    def _warn_empty(self, label: str, versions: Sequence[StageAt], only_path: str) -> None:
        notes: list[Note] = []
        if len(versions) > 1:
            old = versions[-2]
            parts = self._parts(old, only_path)
            said = [f"`{path}`" for path in parts.paths if path] + [_arrow(*pair) for pair in parts.laterals]
            ran = f", which ran {_listed(said)}" if said else ""
            notes.append(Note(f"it takes the place of this stage{ran}", old.label.span))
        hint = "delete the stage, or give it a line such as `conv(64, 3) -> bn -> relu`"
        if len(versions) > 1:
            hint = f"delete it to keep the base's stage; `stage {label} frozen` freezes that, "
            hint += f"`drop stage {label}` leaves it out"
        self.reporter.report("W0105", versions[-1].label.span, f"nothing runs in `{label}`", notes, hint)

    def _warn_left_out(self, label: str, old: StageAt, new: StageAt, only_path: str) -> None:
        before, after = self._parts(old, only_path), self._parts(new, only_path)
        paths = {p: s for p, s in before.paths.items() if p not in after.paths}
        laterals = {pair: s for pair, s in before.laterals.items() if pair not in after.laterals}
        said = [f"also ran {_listed([f'`{p}`' for p in paths if p])}"] if any(paths) else []
        said += [f"had a lateral {_arrow(*pair)}" for pair in laterals]
        said += ["was frozen"] if before.is_frozen and new.freezing[0] is None else []
        if not said:
            return
        header = self.program.files[old.level].header
        owner = f" of `{header.name.id}`" if header is not None else ""
        notes = [Note("in the base's stage", span) for span in (*paths.values(), *laterals.values())]
        hint = "a stage of a variant takes the place of the whole stage: repeat what shall stay"
        text = f"`{label}`{owner} {', and '.join(said)}"
        self.reporter.report("W0106", new.label.span, text, notes, hint)

    def _parts(self, at: StageAt, only_path: str) -> _Parts:
        """Return the paths and laterals of a stage, by its conditions, whose faults are reported in the expansion."""
        silent = Evaluator(Reporter(), self.evaluator.symbols, self.evaluator.work)
        parts = _Parts()
        self._gather(at.stage.body, at.scope.child(), silent, only_path, parts)
        frozen, scope = at.freezing
        parts.is_frozen = frozen is not None and (frozen.test is None or silent.truth(frozen.test, scope) is True)
        return parts

    def _gather(
        self, body: Iterable[ast.Statement], scope: Scope, evaluator: Evaluator, only_path: str, parts: _Parts
    ) -> None:
        for statement in body:
            match statement:
                case ast.PathLine() | ast.Lateral() if _runs_on(statement) & self.program.dropped.keys():
                    pass
                case ast.PathLine():
                    path = statement.path.id if statement.path is not None else only_path
                    parts.paths.setdefault(path, statement.span if statement.path is None else statement.path.span)
                case ast.Lateral():
                    pair = statement.source.id, statement.target.id
                    parts.laterals.setdefault(pair, statement.source.span)
                case ast.Let():
                    evaluator.bind(statement, scope)
                case ast.If():
                    truth = evaluator.truth(statement.test, scope)
                    if not isinstance(truth, Unknown):
                        taken = statement.body if truth else statement.otherwise
                        self._gather(taken, scope.child(), evaluator, only_path, parts)
                case _:
                    raise AssertionError


def _change(statement: ast.Stage | ast.Freeze, scope: Scope, level: int) -> StageAt | FrozenBy:
    return StageAt(statement, scope, level) if isinstance(statement, ast.Stage) else FrozenBy(statement, scope, level)


@dataclass(eq=False)
class _Parts:
    """The paths and laterals of a stage, with their spans."""

    paths: dict[str, Span] = field(default_factory=dict[str, "Span"])
    laterals: dict[tuple[str, str], Span] = field(default_factory=dict[tuple[str, str], "Span"])
    is_frozen: bool = False


def has_lines(body: Iterable[ast.Statement]) -> bool:
    """Return True if a stage has lines, under any condition."""
    return first_line(body) is not None


def first_line(body: Iterable[ast.Statement]) -> Span | None:
    """Return the span of a stage's first line, under any condition; None for an empty stage."""
    for statement in body:
        if isinstance(statement, (ast.PathLine, ast.Lateral)):
            return statement.span
        if isinstance(statement, ast.If) and (span := first_line((*statement.body, *statement.otherwise))):
            return span
    return None


def _runs_on(line: ast.PathLine | ast.Lateral) -> set[str]:
    """Return the paths that a line of a stage names."""
    names = (line.path,) if isinstance(line, ast.PathLine) else (line.source, line.target)
    return {name.id for name in names if name is not None}


def _arrow(source: str, target: str) -> str:
    return f"`{source} => {target}`"


def _listed(words: Sequence[str]) -> str:
    """Join words as `a`, `b` and `c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
