"""Files to one program: imports, bases, and the statements with which a variant replaces those of its base."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.core.source import Source
from archdsl.frontend import ast
from archdsl.frontend.parse import parse
from definition.values import Names, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(eq=False)
class File:
    """A parsed file with those that it names."""

    statements: tuple[ast.Statement, ...]
    blocks: dict[str, ast.Block]
    functions: dict[str, ast.Function]
    imports: list[File]
    base: File | None
    is_spec: bool

    def reach(self) -> Iterator[File]:
        """The file, and all that it imports, directly or not."""
        yield self
        for imported in self.imports:
            yield from imported.reach()

    def known_functions(self) -> dict[str, tuple[ast.Function, File]]:
        """The functions that expressions of this file can call, each with its file."""
        found = self.base.known_functions() if self.base is not None else {}
        for file in (*self.imports, self):
            found |= {name: (function, file) for name, function in file.functions.items()}
        return found

    def known(self, name: str) -> tuple[ast.Block, File] | None:
        """The block that a name means here: the file's own, an imported file's own, or one that its base knows."""
        for file in (self, *reversed(self.imports)):
            if name in file.blocks:
                return file.blocks[name], file
        return self.base.known(name) if self.base is not None else None


class Files:
    """A spec and its bases, the nearest first; each file is read once."""

    def __init__(self, name: str, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.read: dict[str, File] = {}
        self.scopes: dict[File, Names] = {}
        self.family = [self._file(name)]
        while (base := self.family[-1].base) is not None:
            self.family.append(base)

    def _file(self, name: str) -> File:
        if name not in self.read:
            tree = parse(Source(f"{name}.arch", self.texts[name]))
            base = tree.header.base if tree.header is not None else None
            self.read[name] = File(
                tree.statements,
                {s.name.id: s for s in tree.statements if isinstance(s, ast.Block)},
                {s.name.id: s for s in tree.statements if isinstance(s, ast.Function)},
                [self._file(s.name.id) for s in tree.statements if isinstance(s, ast.Import)],
                None if base is None else self._file(base.id),
                tree.header is not None,
            )
        return self.read[name]

    def names(self, file: File, of_spec: Names) -> Names:
        """The functions that expressions of a file can call, by `NAME(`, each with the names that it sees."""
        if file.is_spec and file is not self.family[0]:
            return of_spec
        if file not in self.scopes:
            names = self.scopes[file] = of_spec if file.is_spec else ChainMap[str, Value]()
            for name, (function, home) in file.known_functions().items():
                names[f"{name}("] = function, self.names(home, of_spec)
        return self.scopes[file]

    def block(self, name: str, file: File) -> tuple[ast.Block, File] | None:
        """The block that a name means in a file, unless a variant of this file has put its own in the block's place.

        A variant's own blocks count in its bases, and in the libraries that these reach.
        """
        known = file.known(name)
        level = max(k for k, spec in enumerate(self.family) if file in spec.reach())
        replaced = [(v.blocks[name], v) for v in self.family[:level] if name in v.blocks]
        return known if known is None or not replaced else replaced[0]


class Merged:
    """One program of a spec and its bases: the nearest statement counts."""

    def __init__(self, files: Files) -> None:
        self.defaults: dict[str, ast.Expr] = {}  # of parameters
        self.types: dict[str, ast.Type] = {}  # of those that declare one
        self.statements: list[tuple[ast.Statement, File]] = []
        self.replacements: list[tuple[ast.Statement, File]] = []  # stages of variants, the oldest first
        self.dropped: set[str] = set()  # paths
        for file in reversed(files.family):
            if any(isinstance(s, ast.Head) for s in file.statements):  # a variant's take the place of all of its base
                self.statements = [s for s in self.statements if not isinstance(s[0], ast.Head)]
            for statement in file.statements:
                self._add(statement, file)

    def _add(self, statement: ast.Statement, file: File) -> None:
        match statement:
            case ast.Param():
                self.defaults |= {d.name.id: d.default for d in statement.declarations if d.default is not None}
                self.types |= {d.name.id: d.type for d in statement.declarations if d.type is not None}
            case ast.Drop(is_stage=True):
                empty = ast.Stage(statement.span, ast.Label(statement.name.span, statement.name.id), None, ())
                self.replacements.append((empty, file))
            case ast.Drop():
                self.dropped.add(statement.name.id)
                self.statements = [s for s in self.statements if _key(s[0]) != ("Path", statement.name.id)]
            case ast.Head() | ast.Input() | ast.Path():
                self._place(statement, file)
            case ast.Stage() | ast.Freeze() | ast.For() | ast.If() | ast.Let():
                (self.statements if file.base is None else self.replacements).append((statement, file))
            case _:
                pass

    def _place(self, statement: ast.Head | ast.Input | ast.Path, file: File) -> None:
        """Put a statement where the base has that of its name; else an input behind the inputs, a path behind all."""
        keys = [_key(s) for s, _ in self.statements]
        if _key(statement) in keys:
            self.statements[keys.index(_key(statement))] = statement, file
        elif file.base is None or isinstance(statement, ast.Head):
            self.statements.append((statement, file))
        else:
            kinds = ("Input",) if isinstance(statement, ast.Input) else ("Input", "Path")
            behind = max((k for k, key in enumerate(keys) if key[0] in kinds), default=-1)
            self.statements.insert(behind + 1, (statement, file))


def _key(statement: ast.Statement) -> tuple[str, str]:
    name = statement.name if isinstance(statement, (ast.Input, ast.Path, ast.Head)) else None
    return type(statement).__name__, name.id if name is not None else ""
