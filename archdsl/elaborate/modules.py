"""Files to modules: each with the blocks and functions that it can use, its own and those that it imports."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.names import why_no_parameter, why_refused
from archdsl.elaborate.blocks import own_blocks, own_functions
from archdsl.elaborate.functions import FUNCTIONS
from archdsl.elaborate.program import BlockDef, FunctionDef, Module
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from archdsl.core.source import Source
    from archdsl.elaborate.file_reader import FileReader


class ModuleReader:
    """Builder of the modules of files and of their imports, each once."""

    def __init__(self, files: FileReader) -> None:
        self.files = files
        self.reporter = files.reporter
        self.modules: dict[str, Module] = {}  # by the name of the file
        self.opened: list[str] = []  # files whose imports are being read

    def module(self, file: ast.File, *, is_spec: bool) -> Module:
        """Return a file with its own and its imported blocks."""
        key = file.source.name
        if key in self.modules:
            return self.modules[key]
        module = Module(file, is_spec=is_spec, elsewhere=partial(self.files.elsewhere, file.source))
        self.opened.append(key)
        for statement in file.statements:
            if isinstance(statement, ast.Import):
                self._import(module, statement)
        for statement in file.statements:
            if isinstance(statement, ast.Block):
                self._add_block(module, statement)
            elif isinstance(statement, ast.Function):
                self._add_function(module, statement)
        self.opened.pop()
        self.modules[key] = module
        return module

    def imported(self, modules: Iterable[Module]) -> list[Source]:
        """Return the files of all modules but some, by name."""
        own = {m.file.source.name for m in modules}
        return [m.file.source for k, m in sorted(self.modules.items()) if k not in own]

    def _import(self, module: Module, statement: ast.Import) -> None:
        source = self.files.find(statement.name, module.file.source)
        if source.name in self.opened:
            names = " imports ".join([*self.opened[self.opened.index(source.name) :], source.name])
            raise self.reporter.fatal("E0206", statement.span, names)
        if source.name in self.modules:
            imported = self.modules[source.name]
        else:
            file = self.files.read(source)
            if file.header is not None:
                label = f"`{statement.name.id}` is a spec, not a library of blocks"
                raise self.reporter.fatal("E0208", statement.name.span, label, hint="`arch … extends` builds on a spec")
            imported = self.module(file, is_spec=False)
        module.imports.append(imported)
        own, functions = own_blocks(imported), own_functions(imported)
        self._check_clash(module, statement, own)
        self._check_functions(module, statement, functions)
        module.blocks.update(own)
        module.functions.update(functions)
        self._note_unused(module, statement, {*own, *functions})

    def _check_clash(self, module: Module, statement: ast.Import, own: dict[str, BlockDef]) -> None:
        """Report a block of two imports that the file calls: nothing says which is meant."""
        defined = {s.name.id for s in module.file.statements if isinstance(s, ast.Block)}
        clashes = {n for n in own.keys() & module.blocks.keys() - defined if module.blocks[n] is not own[n]}
        for name in sorted(clashes & _names(module.file) if clashes else ()):
            notes = [Note("the one", module.blocks[name].block.name.span), Note("the other", own[name].block.name.span)]
            hint = "import one of the two here, and the other in a library of your own, in a block of another name"
            self.reporter.report("E0203", statement.span, f"two imports have a block `{name}`", notes, hint)

    def _check_functions(self, module: Module, statement: ast.Import, own: dict[str, FunctionDef]) -> None:
        """Report a function of two imports that the file names."""
        defined = {s.name.id for s in module.file.statements if isinstance(s, ast.Function)}
        clashes = {n for n in own.keys() & module.functions.keys() - defined if module.functions[n] is not own[n]}
        for name in sorted(clashes & _names(module.file) if clashes else ()):
            places = [f.function.name.span for f in (module.functions[name], own[name])]
            notes = [Note(text, place) for text, place in zip(("the one", "the other"), places, strict=True)]
            self.reporter.report("E0203", statement.span, f"two imports have a function `{name}`", notes)

    def _note_unused(self, module: Module, statement: ast.Import, own: Collection[str]) -> None:
        if own and _names(module.file).isdisjoint(own):
            self.reporter.report("W0103", statement.span, f"nothing of `{statement.name.id}` is used here")

    def _add_block(self, module: Module, block: ast.Block) -> None:
        name = block.name.id
        self._check_parameters(block)
        existing = module.blocks.get(name)
        if existing is not None and existing.module is module:
            note = Note("first defined here", existing.block.name.span)
            self.reporter.report("E0203", block.name.span, f"a second block `{name}`", [note])
            return
        refused = why_refused(name)
        if refused:
            self.reporter.report("E0204", block.name.span, refused)
        module.blocks[name] = BlockDef(block, module)

    def _add_function(self, module: Module, function: ast.Function) -> None:
        name = function.name
        self._check_parameters(function)
        existing = module.functions.get(name.id)
        if existing is not None and existing.module is module:
            note = Note("first defined here", existing.function.name.span)
            self.reporter.report("E0203", name.span, f"a second function `{name.id}`", [note])
        elif name.id in FUNCTIONS:
            self.reporter.report("E0204", name.span, f"`{name.id}` is a function of the language")
        else:
            module.functions[name.id] = FunctionDef(function, module)

    def _check_parameters(self, block: ast.Block | ast.Function) -> None:
        seen: dict[str, ast.Name] = {}
        for parameter in block.parameters:
            if parameter.name.id in seen:
                note = Note("first here", seen[parameter.name.id].span)
                self.reporter.report("E0203", parameter.name.span, f"a second parameter `{parameter.name.id}`", [note])
            seen[parameter.name.id] = parameter.name
            # A function is computed before code is written, so that its parameters have no names there.
            refused = why_no_parameter(parameter.name.id) if isinstance(block, ast.Block) else ""
            if refused:
                self.reporter.report("E0204", parameter.name.span, refused)


def _names(file: ast.File) -> set[str]:
    """Return every word of a file, to tell what it can possibly use."""
    return set(re.findall(r"[A-Za-z_]\w*", file.source.text))
