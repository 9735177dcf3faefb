"""A spec with its bases and imports: what is left to do is to evaluate it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from archdsl.frontend import ast
from archdsl.ir.signature import BlockParameter, BlockSignature, channels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from fractions import Fraction

    from archdsl.core.source import Source, Span


class Library(Protocol):
    """Provider of the files that a spec names; the compiler itself reads no files."""

    def find(self, name: str, importer: Source) -> Source | None:
        """Return the file `name.arch` as seen from another file, or None."""
        ...

    def names(self, importer: Source) -> Iterable[str]:
        """Return the names of the files that could have been meant."""
        ...

    def maps(self, specs: Sequence[Source]) -> list[Source]:
        """Return the maps of names of published weights that are at hand for some specs, the nearest first."""
        ...


@dataclass(eq=False)
class Module:
    """A file, the blocks that its chains can use, and the functions that its expressions can."""

    file: ast.File
    imports: list[Module] = field(default_factory=list["Module"])
    blocks: dict[str, BlockDef] = field(default_factory=dict[str, "BlockDef"])
    functions: dict[str, FunctionDef] = field(default_factory=dict[str, "FunctionDef"])
    is_spec: bool = False
    elsewhere: Callable[[str], str] = lambda _: ""  # the library that holds a block which is not imported


@dataclass(frozen=True, eq=False)
class BlockDef:
    """A block with the file whose names its body sees."""

    block: ast.Block
    module: Module

    @cached_property
    def signature(self) -> BlockSignature:
        """The part of the definition that the network keeps."""
        parameters = (BlockParameter(*_parameter(p)) for p in self.block.parameters if not is_block(p))
        doc = self.block.doc.value if self.block.doc is not None else None
        return BlockSignature(self.block.name.id, doc, tuple(parameters))


@dataclass(frozen=True, eq=False)
class FunctionDef:
    """A function with the file whose names it sees."""

    function: ast.Function
    module: Module


def is_value(declaration: ast.Declaration) -> bool:
    """Return True for a parameter of a block that is a value, with which chains can begin."""
    return declaration.type is not None and [n.id for n in declaration.type.names] == ["value"]


def is_block(declaration: ast.Declaration) -> bool:
    """Return True for a parameter of a block that is a layer or a block, which chains call."""
    return declaration.type is not None and [n.id for n in declaration.type.names] == ["block"]


@dataclass(frozen=True, eq=False)
class Placed:
    """A statement with the number of its file: 0 is the spec itself, 1 its base, 2 the base of that, and so on."""

    statement: ast.Statement
    level: int


@dataclass(eq=False, repr=False)
class Program:
    """A spec with its bases, merged."""

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
    functions: dict[str, FunctionDef]  # of the spec, its bases and all that they import
    files: list[ast.File]  # the spec, its base, the base of that, …
    imported: list[Source]
    doc: str = ""
    citations: tuple[str, ...] = ()
    published: ast.Published | None = None
    recipe: dict[str, ast.Binding] = field(default_factory=dict[str, ast.Binding])  # the last said last


def _parameter(declaration: ast.Declaration) -> tuple[str, str | None, Fraction | None]:
    """Return the name, the text of the default, and its number; a value is known by the number of its channels."""
    name = declaration.name.id
    return (channels_of(name), None, None) if is_value(declaration) else (name, *_default(declaration.default))


def _default(expr: ast.Expr | None) -> tuple[str | None, Fraction | None]:
    """Return the text of a default, and its value where it is a literal number."""
    text = expr.span.text if expr is not None else None
    return text, expr.value if isinstance(expr, ast.Number) else None
