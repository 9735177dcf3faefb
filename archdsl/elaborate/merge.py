"""Merge a spec's files into one program: what a variant declares again takes the place of its base's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note, did_you_mean
from archdsl.core.source import Span
from archdsl.elaborate.heads import check_heads
from archdsl.elaborate.program import Placed
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.core.report import Reporter
    from archdsl.elaborate.program import Program

_Key = tuple[str, str]  # the kind of a thing and its name


class Merger:
    """Merger of files into a program, the root of the family first.

    Each statement of one file may be there once: two of a kind with one name are a fault in variants and roots alike.
    Labels of stages are known only when names in them are filled in; expansion checks these.
    """

    def __init__(self, program: Program, reporter: Reporter) -> None:
        self.program = program
        self.reporter = reporter
        self.there: dict[_Key, Placed] = {}  # heads, inputs and paths of the program, by kind and name

    def merge(self, file: ast.File, level: int) -> None:
        """Add the statements of a file; `level` 0 is the spec itself, 1 its base, and so on."""
        seen: dict[_Key, Span] = {}
        is_root = file.header is None or file.header.base is None
        if any(isinstance(s, ast.Head) for s in file.statements):
            self._remove_heads()
        for statement in file.statements:
            match statement:
                case ast.Param() | ast.Recipe() | ast.Drop():
                    self._set(statement, seen, level, is_root=is_root)
                case ast.Published() | ast.Head() | ast.Input() | ast.Path():
                    if self._is_first(*_named(statement), seen) and not isinstance(statement, ast.Published):
                        self._place(statement, level, is_root=is_root)
                case ast.Stage() | ast.Freeze() | ast.For() | ast.If() | ast.Let():
                    placed = self.program.statements if is_root else self.program.replacements
                    placed.append(Placed(statement, level))
                case _:
                    pass  # headers, imports, blocks and texts are the resolver's
        self._check_dropped(file.statements)
        check_heads([s for s in file.statements if isinstance(s, ast.Head)], self.reporter)

    def _set(
        self, statement: ast.Param | ast.Recipe | ast.Drop, seen: dict[_Key, Span], level: int, *, is_root: bool
    ) -> None:
        """Declare parameters, take values of the recipe, or drop a path or a stage."""
        match statement:
            case ast.Param():
                for declaration in statement.declarations:
                    self._declare(declaration, seen)
            case ast.Recipe():
                for binding in statement.bindings:
                    self._recipe(binding, seen)
            case ast.Drop():
                self._drop(statement, seen, level, is_root=is_root)

    def _declare(self, declaration: ast.Declaration, seen: dict[_Key, Span]) -> None:
        name = declaration.name
        if not self._is_first(("parameter", name.id), name.span, seen):
            return
        base = self.program.declarations.get(name.id)
        if base is not None:  # a variant changes the value; type and constraint stay unless it gives its own
            kind, where = declaration.type or base.type, declaration.where or base.where
            declaration = ast.Declaration(declaration.span, name, kind, declaration.default, where)
        self.program.declarations[name.id] = declaration

    def _recipe(self, binding: ast.Binding, seen: dict[_Key, Span]) -> None:
        name = binding.name
        if self._is_first(("recipe", name.id), name.span, seen):
            self.program.recipe.pop(name.id, None)  # the order is that of what was said last
            self.program.recipe[name.id] = binding

    def _is_first(self, key: _Key, place: Span, seen: dict[_Key, Span]) -> bool:
        """Return whether a file has nothing of this kind and name yet; a second one is a fault."""
        if key in seen:
            kind, name = key
            verb, label = {
                "recipe": ("said", f"`{name}` of the recipe a second time"),
                "drop": ("dropped", f"the {name.replace(' ', ' `')}` is dropped a second time"),
            }.get(kind, ("declared", f"a second {kind} `{name}`" if name else f"a second `{kind}`"))
            self.reporter.report("E0203", place, label, [Note(f"first {verb} here", seen[key])])
            return False
        seen[key] = place
        return True

    # --- inputs, paths and the head ---

    def _remove_heads(self) -> None:
        """Remove the heads of the base, all of which a variant's own take the place of."""
        for key in [key for key in self.there if key[0] == "head"]:
            self.program.statements.remove(self.there.pop(key))

    def _place(self, statement: ast.Head | ast.Input | ast.Path, level: int, *, is_root: bool) -> None:
        """Put a head, input or path where the base has that of the same name, else where others can read it."""
        key, place = _named(statement)
        statements = self.program.statements
        placed = Placed(statement, level)
        if is_root:
            statements.append(placed)
        elif key[0] == "path" and key[1] in self.program.dropped:
            return  # a fault, reported with the other uses of a dropped path
        elif key in self.there:
            statements[statements.index(self.there[key])] = placed
        elif isinstance(statement, ast.Head):
            statements.append(placed)
        else:
            before = ast.Input if isinstance(statement, ast.Input) else (ast.Input, ast.Path)
            behind = (i for i in range(len(statements), 0, -1) if isinstance(statements[i - 1].statement, before))
            statements.insert(next(behind, 0), placed)
            if level == 0:
                self.program.added[key[1]] = place
        self.there[key] = placed

    # --- dropped paths ---

    def _drop(self, statement: ast.Drop, seen: dict[_Key, Span], level: int, *, is_root: bool) -> None:
        name = statement.name
        program = self.program
        kind = "stage" if statement.is_stage else "path"
        if not self._is_first(("drop", f"{kind} {name.id}"), name.span, seen):
            return
        if is_root:
            label, hint = f"there is no base to drop a {kind} of", "`arch NAME extends BASE` makes a variant"
            self.reporter.report("E0105", statement.span, label, hint=hint)
        elif statement.is_stage:
            program.replacements.append(Placed(statement, level))
        else:
            self._drop_path(name)

    def _drop_path(self, name: ast.Name) -> None:
        program = self.program
        path = self.there.get(("path", name.id))
        if name.id in program.dropped:
            note = Note("dropped here", program.dropped[name.id].span)
            self.reporter.report("E0604", name.span, f"the base has dropped `{name.id}`", [note])
        elif path is None:
            hint = partial(did_you_mean, name.id, [n for kind, n in self.there if kind == "path"])
            self.reporter.report("E0604", name.span, f"the base has no path `{name.id}`", hint=hint)
        else:
            program.statements.remove(path)
            del self.there["path", name.id]
            program.dropped[name.id] = name

    def _check_dropped(self, statements: Sequence[ast.Statement]) -> None:
        """Report where a file declares or uses a path that it, or a base of it, drops."""
        for name in _path_names(statements):
            drop = self.program.dropped.get(name.id)
            if drop is not None:
                is_own = drop.span.source is name.span.source
                hint = "delete the one or the other" if is_own else "take another name, or extend a spec with this path"
                self.reporter.report("E0607", name.span, f"`{name.id}` is dropped", [Note("here", drop.span)], hint)


def _named(statement: ast.Published | ast.Head | ast.Input | ast.Path) -> tuple[_Key, Span]:
    """Return the kind and name of a statement that is there once, and the place to show."""
    word, name = type(statement).__name__.lower(), None if isinstance(statement, ast.Published) else statement.name
    if name is not None:
        return (word, name.id), name.span
    return (word, ""), Span(statement.span.source, statement.span.start, statement.span.start + len(word))


def _path_names(statements: Sequence[ast.Statement]) -> Iterator[ast.Name]:
    """Yield the names of the paths that statements declare, or that lines and laterals of stages run on."""
    for statement in statements:
        match statement:
            case ast.Path():
                yield statement.name
            case ast.PathLine(path=ast.Name() as path):
                yield path
            case ast.Lateral():
                yield statement.source
                yield statement.target
            case ast.Stage() | ast.For():
                yield from _path_names(statement.body)
            case ast.If():
                yield from _path_names((*statement.body, *statement.otherwise))
            case _:
                pass
