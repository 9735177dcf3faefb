"""Files to one program: imports found, bases merged with their variants."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from archdsl.core.diagnostics import Note, SpecError, did_you_mean
from archdsl.core.names import why_no_parameter, why_refused
from archdsl.core.work import Work
from archdsl.elaborate.blocks import closure, inherit_blocks, own_blocks
from archdsl.elaborate.merge import Merger
from archdsl.frontend import ast
from archdsl.frontend.parse import parse
from archdsl.ir.signature import BlockParameter, BlockSignature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from fractions import Fraction

    from archdsl.core.report import Reporter
    from archdsl.core.source import Source, Span
    from archdsl.elaborate.merge import Placed


class Library(Protocol):
    """Finds the files that a spec names. It does the reading; the compiler itself does none."""

    def find(self, name: str, importer: Source) -> Source | None:
        """The file `name.arch` as seen from another file, or None."""
        ...

    def names(self, importer: Source) -> Iterable[str]:
        """What could have been meant."""
        ...

    def maps(self, specs: Sequence[Source]) -> list[Source]:
        """The maps of names of published weights that are at hand for some specs, the nearest first."""
        ...


@dataclass(eq=False)
class Module:
    """A file and the blocks that its chains can use."""

    file: ast.File
    imports: list[Module] = field(default_factory=list["Module"])
    blocks: dict[str, BlockDef] = field(default_factory=dict[str, "BlockDef"])
    is_spec: bool = False
    elsewhere: Callable[[str], str] = lambda _: ""  # the library that holds a block which is not imported


@dataclass(frozen=True, eq=False)
class BlockDef:
    """A block with the file whose names its body sees."""

    block: ast.Block
    module: Module

    @cached_property
    def signature(self) -> BlockSignature:
        """What the network keeps of the definition."""
        parameters = (BlockParameter(p.name.id, *_default(p.default)) for p in self.block.parameters)
        doc = self.block.doc.value if self.block.doc is not None else None
        return BlockSignature(self.block.name.id, doc, tuple(parameters))


@dataclass(eq=False)
class Program:
    """A spec with its bases: what is left to do is to evaluate it."""

    header: ast.Header
    family: str
    modules: list[Module]  # of the spec, of its base, …; the blocks of each include those of its bases
    libraries: list[Module]  # all that these import, directly or not
    declarations: dict[str, ast.Declaration]
    statements: list[Placed]  # in order; a head, input or path of a variant stands where that of its base stood
    replacements: list[Placed]  # the stages of variants, the oldest first, with the `for`, `if` and `let` around them
    dropped: dict[str, ast.Name]  # paths
    added: dict[str, Span]  # inputs and paths of the spec itself that its base does not have
    replaced: dict[str, list[BlockDef]]  # by the name of a block of the spec itself: whose place it takes
    files: list[ast.File]  # the spec, its base, the base of that, …
    imported: list[Source]
    doc: str = ""
    citations: tuple[str, ...] = ()
    published: ast.Published | None = None
    recipe: dict[str, ast.Binding] = field(default_factory=dict[str, ast.Binding])  # the last said last


_OF_A_LIBRARY = (ast.Import, ast.Block, ast.Doc, ast.Cite)


class Resolver:
    """Reads a spec, its imports and its bases."""

    def __init__(self, library: Library, reporter: Reporter, work: Work | None = None) -> None:
        self.library = library
        self.reporter = reporter
        self.work = work or Work()
        self.offered: dict[str, dict[str, str]] = {}  # the library of each block, by the file that could import it
        self.found: dict[tuple[str, str], Source] = {}  # by the name and the file that names it
        self.modules: dict[str, Module] = {}
        self.opened: list[str] = []

    def resolve(self, source: Source) -> Program:
        """The program of a spec. Raises SpecError where nothing can be made of it."""
        files = self._family(source)
        modules = [self._module(f, is_spec=True) for f in files]
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
            files=files,
            imported=self._imported(modules),
        )
        merger = Merger(program, self.reporter)
        for level, file in reversed(list(enumerate(files))):
            merger.merge(file, level)
        self._describe(program, files)
        return program

    def _class_name(self, files: list[ast.File], header: ast.Header) -> str:
        """The name of the model's class: as the spec or a base of it has it, else made of the spec's own name."""
        for file in files:
            if file.header is not None and file.header.family is not None:
                family = file.header.family
                refused = why_refused(family.id)
                if refused:
                    self.reporter.report("E0204", family.span, refused)
                return family.id
        name = _camel(header.name.id)
        return f"{name}Model" if why_refused(name) else name

    # --- finding files ---

    def _family(self, source: Source) -> list[ast.File]:
        """The spec, its base, the base of that and so on."""
        files: list[ast.File] = []
        seen: list[str] = []
        while True:
            file = self._parse(source, is_spec=True)
            files.append(file)
            seen.append(source.name)
            header = file.header
            if header is None:
                span = file.statements[0].span
                only_blocks = all(isinstance(s, _OF_A_LIBRARY) for s in file.statements)
                hint = "a spec begins with `arch NAME`, as in `arch my_network`"
                if only_blocks:
                    hint = "a library of blocks is imported, not compiled" if len(files) == 1 else "extend a spec"
                raise self.reporter.fatal("E0208", span, "this file has no `arch NAME`", hint=hint)
            if header.base is None:
                return files
            source = self._find(header.base, source)
            if source.name in seen:
                chain = " extends ".join([*(f.header.name.id for f in files if f.header), header.base.id])
                raise self.reporter.fatal("E0206", header.base.span, chain)

    def _parse(self, source: Source, *, is_spec: bool = False) -> ast.File:
        try:
            file = parse(source, self.work)
        except SpecError as error:
            self.reporter.extend(error)
            raise SpecError(self.reporter.diagnostics) from None
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
        if file.header is None and not isinstance(statement, (*_OF_A_LIBRARY, ast.Header)):
            hint = "a spec begins with `arch NAME`"
            self.reporter.report("E0105", statement.span, "a library of blocks holds blocks and imports", hint=hint)

    def _find(self, name: ast.Name, importer: Source) -> Source:
        key = name.id, importer.name
        found = self.found.get(key) or self.library.find(name.id, importer)
        if found is None:
            hint = did_you_mean(name.id, self.library.names(importer))
            raise self.reporter.fatal("E0205", name.span, f"no file `{name.id}.arch` here or in the library", hint=hint)
        self.found[key] = found
        return found

    def _module(self, file: ast.File, *, is_spec: bool) -> Module:
        """A file with its own and its imported blocks."""
        key = file.source.name
        if key in self.modules:
            return self.modules[key]
        module = Module(file, is_spec=is_spec, elsewhere=partial(self._elsewhere, file.source))
        self.opened.append(key)
        for statement in file.statements:
            if isinstance(statement, ast.Import):
                self._import(module, statement)
        for statement in file.statements:
            if isinstance(statement, ast.Block):
                self._add_block(module, statement)
        self.opened.pop()
        self.modules[key] = module
        return module

    def _import(self, module: Module, statement: ast.Import) -> None:
        source = self._find(statement.name, module.file.source)
        if source.name in self.opened:
            names = " imports ".join([*self.opened[self.opened.index(source.name) :], source.name])
            raise self.reporter.fatal("E0206", statement.span, names)
        if source.name in self.modules:
            imported = self.modules[source.name]
        else:
            file = self._parse(source)
            if file.header is not None:
                label = f"`{statement.name.id}` is a spec, not a library of blocks"
                raise self.reporter.fatal("E0208", statement.name.span, label, hint="`arch … extends` builds on a spec")
            imported = self._module(file, is_spec=False)
        module.imports.append(imported)
        own = own_blocks(imported)
        self._check_clash(module, statement, own)
        module.blocks.update(own)
        self._note_unused(module, statement, own)

    def _check_clash(self, module: Module, statement: ast.Import, own: dict[str, BlockDef]) -> None:
        """Report a block of two imports that the file calls: nothing says which is meant."""
        defined = {s.name.id for s in module.file.statements if isinstance(s, ast.Block)}
        clashes = {n for n in own.keys() & module.blocks.keys() - defined if module.blocks[n] is not own[n]}
        for name in sorted(clashes & _names(module.file) if clashes else ()):
            notes = [Note("the one", module.blocks[name].block.name.span), Note("the other", own[name].block.name.span)]
            hint = "import one of the two here, and the other in a library of your own, in a block of another name"
            self.reporter.report("E0203", statement.span, f"two imports have a block `{name}`", notes, hint)

    def _elsewhere(self, importer: Source, block: str) -> str:
        """The library that holds a block, of those that a file could import; each is read once."""
        if importer.name not in self.offered:
            offered = self.offered[importer.name] = dict[str, str]()
            for name in sorted(self.library.names(importer)):
                source = self.library.find(name, importer)
                for found in re.findall(r"^block (\w+)\(", source.text, re.MULTILINE) if source is not None else ():
                    offered.setdefault(found, name)
        return self.offered[importer.name].get(block, "")

    def _note_unused(self, module: Module, statement: ast.Import, own: dict[str, BlockDef]) -> None:
        if own and not _names(module.file) & own.keys():
            self.reporter.report("W0103", statement.span, f"no block of `{statement.name.id}` is used here")

    def _add_block(self, module: Module, block: ast.Block) -> None:
        name = block.name.id
        existing = module.blocks.get(name)
        seen: dict[str, ast.Name] = {}
        for parameter in block.parameters:
            if parameter.name.id in seen:
                note = Note("first here", seen[parameter.name.id].span)
                self.reporter.report("E0203", parameter.name.span, f"a second parameter `{parameter.name.id}`", [note])
            seen[parameter.name.id] = parameter.name
            refused = why_no_parameter(parameter.name.id)
            if refused:
                self.reporter.report("E0204", parameter.name.span, refused)
        if existing is not None and existing.module is module:
            note = Note("first defined here", existing.block.name.span)
            self.reporter.report("E0203", block.name.span, f"a second block `{name}`", [note])
            return
        refused = why_refused(name)
        if refused:
            self.reporter.report("E0204", block.name.span, refused)
        module.blocks[name] = BlockDef(block, module)

    def _imported(self, modules: list[Module]) -> list[Source]:
        own = {m.file.source.name for m in modules}
        return [m.file.source for k, m in sorted(self.modules.items()) if k not in own]

    def _describe(self, program: Program, files: list[ast.File]) -> None:
        for file in reversed(files):
            docs = [s.text.value for s in file.statements if isinstance(s, ast.Doc)]
            cites = tuple(s.text.value for s in file.statements if isinstance(s, ast.Cite))
            program.doc = docs[0] if docs else program.doc
            program.citations = cites or program.citations
        own = [s for s in files[0].statements if isinstance(s, ast.Published)]
        program.published = own[0] if own else None


def _names(file: ast.File) -> set[str]:
    """Every word of a file, to tell what it can possibly use."""
    return set(re.findall(r"[A-Za-z_]\w*", file.source.text))


def _default(expr: ast.Expr | None) -> tuple[str | None, Fraction | None]:
    """Return the text of a default, and its value where it is a literal number."""
    text = expr.span.text if expr is not None else None
    return text, expr.value if isinstance(expr, ast.Number) else None


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
