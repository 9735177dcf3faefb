"""Files to one program: the bases of a spec found, their imports read, bases merged with their variants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.names import why_refused
from archdsl.elaborate.blocks import closure, inherit_blocks
from archdsl.elaborate.file_reader import OF_A_LIBRARY, FileReader
from archdsl.elaborate.merge import Merger
from archdsl.elaborate.modules import ModuleReader
from archdsl.elaborate.program import Program
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.diagnostics import SpecError
    from archdsl.core.report import Reporter
    from archdsl.core.source import Source
    from archdsl.core.work import Work
    from archdsl.elaborate.program import Library


class Resolver:
    """Resolver of a spec with its imports and its bases."""

    def __init__(self, library: Library, reporter: Reporter, work: Work | None = None) -> None:
        self.reporter = reporter
        self.files = FileReader(library, reporter, work)
        self.modules = ModuleReader(self.files)

    def resolve(self, source: Source) -> Program:
        """Return the program of a spec. Raise SpecError where nothing can be made of it."""
        files = self._family(source)
        modules = [self.modules.module(f, is_spec=True) for f in files]
        header = files[0].header
        if header is None:
            raise AssertionError
        replaced = inherit_blocks(modules)
        program = Program(
            header=header,
            family=self._class_name(files, header),
            modules=modules,
            libraries=[m for m in closure(modules) if not m.is_spec],
            declarations={},
            statements=[],
            replacements=[],
            dropped={},
            added={},
            replaced=replaced,
            functions={n: f for module in reversed(modules) for n, f in module.functions.items()},
            files=files,
            imported=self.modules.imported(modules),
        )
        merger = Merger(program, self.reporter)
        for level, file in reversed(list(enumerate(files))):
            merger.merge(file, level)
        _describe(program, files)
        return program

    def _class_name(self, files: list[ast.File], header: ast.Header) -> str:
        """Return the name of the model's class: as the spec or a base has it, else made of the spec's own name."""
        for file in files:
            if file.header is not None and file.header.family is not None:
                family = file.header.family
                refused = why_refused(family.id)
                if refused:
                    self.reporter.report("E0204", family.span, refused)
                return family.id
        name = _camel(header.name.id)
        return f"{name}Model" if why_refused(name) else name

    def _family(self, source: Source) -> list[ast.File]:
        """Return the spec, its base, the base of that and so on."""
        files: list[ast.File] = []
        seen: list[str] = []
        while True:
            file = self.files.read(source, is_spec=True)
            files.append(file)
            seen.append(source.name)
            header = file.header
            if header is None:
                raise self._no_spec(file, is_base=len(files) > 1)
            if header.base is None:
                return files
            source = self.files.find(header.base, source)
            if source.name in seen:
                chain = " extends ".join([*(f.header.name.id for f in files if f.header), header.base.id])
                raise self.reporter.fatal("E0206", header.base.span, chain)

    def _no_spec(self, file: ast.File, *, is_base: bool) -> SpecError:
        hint = "a spec begins with `arch NAME`, as in `arch my_network`"
        if all(isinstance(s, OF_A_LIBRARY) for s in file.statements):
            hint = "extend a spec" if is_base else "a library of blocks is imported, not compiled"
        return self.reporter.fatal("E0208", file.statements[0].span, "this file has no `arch NAME`", hint=hint)


def _describe(program: Program, files: Sequence[ast.File]) -> None:
    """Give a program the texts of its files: those of a variant in place of its base's."""
    for file in reversed(files):
        docs = [s.text.value for s in file.statements if isinstance(s, ast.Doc)]
        cites = tuple(s.text.value for s in file.statements if isinstance(s, ast.Cite))
        program.doc = docs[0] if docs else program.doc
        program.citations = cites or program.citations
    own = [s for s in files[0].statements if isinstance(s, ast.Published)]
    program.published = own[0] if own else None


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
