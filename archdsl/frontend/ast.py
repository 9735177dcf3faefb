"""The syntax tree: what a spec says, with the exact place of every part. Nothing here knows what a name means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from archdsl.core.source import Source, Span


@dataclass(frozen=True)
class Syntax:
    """A part of a spec. Trees that say the same compare equal wherever they stand."""

    span: Span = field(compare=False, repr=False)


# --- values ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number(Syntax):
    value: Fraction
    text: str = field(compare=False)


@dataclass(frozen=True)
class String(Syntax):
    value: str


@dataclass(frozen=True)
class Name(Syntax):
    id: str


@dataclass(frozen=True)
class InHand(Syntax):
    """`in.channels`: an attribute of the value that a layer is applied to."""

    attribute: str


@dataclass(frozen=True)
class List(Syntax):
    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Comprehension(Syntax):
    item: Expr
    names: tuple[Name, ...]
    iterable: Expr
    test: Expr | None


@dataclass(frozen=True)
class Range(Syntax):
    """`a..b`, both ends included; without `b` it goes on for as long as its partners in a `zip`."""

    start: Expr
    stop: Expr | None


@dataclass(frozen=True)
class Unary(Syntax):
    operator: str
    operand: Expr


@dataclass(frozen=True)
class Binary(Syntax):
    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Conditional(Syntax):
    then: Expr
    test: Expr
    otherwise: Expr


@dataclass(frozen=True)
class Index(Syntax):
    value: Expr
    index: Expr


@dataclass(frozen=True)
class Argument(Syntax):
    name: Name | None
    value: Expr


@dataclass(frozen=True)
class Call(Syntax):
    name: Name
    arguments: tuple[Argument, ...]


Expr = Number | String | Name | InHand | List | Comprehension | Range | Unary | Binary | Conditional | Index | Call


# --- chains ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer(Syntax):
    """A layer, a block, or a named value, with its arguments: which of them is known when names are resolved."""

    name: Name
    arguments: tuple[Argument, ...] | None


@dataclass(frozen=True)
class Merge(Syntax):
    """A layer of several inputs: `concat { a -> b, c }`."""

    name: Name
    arguments: tuple[Argument, ...] | None
    branches: tuple[Chain, ...]


@dataclass(frozen=True)
class Shortcut(Syntax):
    test: Expr | None
    chain: Chain


@dataclass(frozen=True)
class Residual(Syntax):
    chain: Chain
    shortcut: Shortcut | None


@dataclass(frozen=True)
class Choose(Syntax):
    """`if test { chain } else { chain }` inside a chain; without `else` the value passes unchanged."""

    test: Expr
    then: Chain
    otherwise: Chain | Choose | None


@dataclass(frozen=True)
class Group(Syntax):
    chain: Chain


Link = Layer | Merge | Residual | Choose | Group


@dataclass(frozen=True)
class Step(Syntax):
    """A link, perhaps repeated (`* 3`) and named (`as x`)."""

    link: Link
    count: Expr | None
    label: Name | None


@dataclass(frozen=True)
class Chain(Syntax):
    steps: tuple[Step, ...]


# --- statements ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Header(Syntax):
    name: Name
    family: Name | None
    base: Name | None


@dataclass(frozen=True)
class Doc(Syntax):
    text: String


@dataclass(frozen=True)
class Import(Syntax):
    name: Name


@dataclass(frozen=True)
class Cite(Syntax):
    text: String


@dataclass(frozen=True)
class Binding(Syntax):
    name: Name
    value: Expr


@dataclass(frozen=True)
class Published(Syntax):
    figures: tuple[Binding, ...]
    clip: List | None
    source: String | None


@dataclass(frozen=True)
class Type(Syntax):
    """`int`, `list[int]`, or a choice of symbols `a | b`."""

    names: tuple[Name, ...]
    is_choice: bool = False


@dataclass(frozen=True)
class Declaration(Syntax):
    """One parameter; only a block's may lack a default."""

    name: Name
    type: Type | None
    default: Expr | None
    where: Expr | None


@dataclass(frozen=True)
class Param(Syntax):
    declarations: tuple[Declaration, ...]


@dataclass(frozen=True)
class Let(Syntax):
    bindings: tuple[Binding, ...]


@dataclass(frozen=True)
class Input(Syntax):
    name: Name
    kind: Name
    shape: List


@dataclass(frozen=True)
class Path(Syntax):
    name: Name
    chain: Chain


@dataclass(frozen=True)
class Drop(Syntax):
    name: Name


@dataclass(frozen=True)
class Head(Syntax):
    chain: Chain


@dataclass(frozen=True)
class Label(Syntax):
    """A stage's label; `res{i}` holds names that are filled in when it is expanded."""

    text: str


@dataclass(frozen=True)
class PathLine(Syntax):
    path: Name | None
    chain: Chain


@dataclass(frozen=True)
class Lateral(Syntax):
    source: Name
    target: Name
    fusion: Expr | None
    chain: Chain


@dataclass(frozen=True)
class If(Syntax):
    """A condition on statements, at the top or in a stage."""

    test: Expr
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True)
class For(Syntax):
    names: tuple[Name, ...]
    iterable: Expr
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Stage(Syntax):
    label: Label
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Block(Syntax):
    name: Name
    parameters: tuple[Declaration, ...]
    doc: String | None
    lets: tuple[Let, ...]
    chain: Chain


Statement = (
    Header | Doc | Import | Cite | Published | Param | Let | Input | Path | Drop | Head
    | PathLine | Lateral | If | For | Stage | Block
)  # fmt: skip


@dataclass(frozen=True)
class Comment:
    span: Span
    text: str


@dataclass(frozen=True)
class File:
    """One parsed file. `comments` stand in the order of the text, apart from the tree."""

    source: Source = field(compare=False, repr=False)
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = field(compare=False)

    @property
    def header(self) -> Header | None:
        first = self.statements[0] if self.statements else None
        return first if isinstance(first, Header) else None
