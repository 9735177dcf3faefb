"""Files of specs and libraries: found by name, parsed, and their statements held against the kind of the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note, SpecError, did_you_mean
from archdsl.core.work import Work
from archdsl.elaborate.cures import import_cure
from archdsl.frontend import ast
from archdsl.frontend.parse import parse

if TYPE_CHECKING:
    from archdsl.core.diagnostics import Diagnostic
    from archdsl.core.report import Reporter
    from archdsl.core.source import Source
    from archdsl.elaborate.program import Library

OF_A_LIBRARY = (ast.Import, ast.Block, ast.Function, ast.Doc, ast.Cite)  # statements that a library of blocks can have


class FileReader:
    """Reader of the files that specs name, and index of the blocks in libraries."""

    def __init__(self, library: Library, reporter: Reporter, work: Work | None = None) -> None:
        self.library = library
        self.reporter = reporter
        self.work = work or Work()
        self.offered: dict[str, dict[str, str]] = {}  # the library of each block, by the file that could import it
        self.found: dict[tuple[str, str], Source] = {}  # by the name and the file that names it

    def read(self, source: Source, *, is_spec: bool = False) -> ast.File:
        """Return the syntax tree of a file.

        Raises:
            SpecError: with the faults of its text, or if it is no spec where one is wanted.
        """
        mended: list[Diagnostic] = []
        try:
            file = parse(source, self.work, mended)
        except SpecError as error:
            self.reporter.extend(error)
            raise SpecError(self.reporter.diagnostics) from None
        self.reporter.extend(SpecError(mended))
        late = next((s for s in file.statements if isinstance(s, ast.Header)), None)
        if late is not None and file.header is None:
            note = Note("what stands before it", file.statements[0].span)
            raise self.reporter.fatal("E0105", late.span, "`arch` stands in the first line of a spec", [note])
        if file.header is not None or not is_spec:
            for index, statement in enumerate(file.statements):
                self._check_place(file, index, statement)
        return file

    def _check_place(self, file: ast.File, index: int, statement: ast.Statement) -> None:
        if isinstance(statement, ast.Header) and index:
            self.reporter.report("E0105", statement.span, "`arch` stands once, and first")
        if isinstance(statement, ast.Doc) and not (index == 1 and file.header):
            self.reporter.report("E0105", statement.span, "a description stands right below `arch NAME`")
        if file.header is None and not isinstance(statement, (*OF_A_LIBRARY, ast.Header)):
            label, hint = "a library holds blocks, functions and imports", "a spec begins with `arch NAME`"
            self.reporter.report("E0105", statement.span, label, hint=hint)

    def find(self, name: ast.Name, importer: Source) -> Source:
        """Return the file of a name as seen from another file. Raise SpecError if there is none."""
        key = name.id, importer.name
        found = self.found.get(key) or self.library.find(name.id, importer)
        if found is None:
            hint = import_cure(name.id) or did_you_mean(name.id, self.library.names(importer))
            raise self.reporter.fatal("E0205", name.span, f"no file `{name.id}.arch` here or in the library", hint=hint)
        self.found[key] = found
        return found

    def elsewhere(self, importer: Source, block: str) -> str:
        """Return the library that holds a block, of those that a file could import, or nothing."""
        if importer.name not in self.offered:
            offered = self.offered[importer.name] = dict[str, str]()  # each library is read once
            for name in sorted(self.library.names(importer)):
                for found in re.findall(r"^block (\w+)\(", self._library_text(name, importer), re.MULTILINE):
                    offered.setdefault(found, name)
        return self.offered[importer.name].get(block, "")

    def _library_text(self, name: str, importer: Source) -> str:
        """Return the text of a library for a hint; nothing of a spec, or of a file that cannot be read."""
        try:
            source = self.library.find(name, importer)
        except Exception:  # whatever is wrong with it, it is not what the user has asked about
            return ""
        return "" if source is None or re.search(r"^arch\b", source.text, re.MULTILINE) else source.text
