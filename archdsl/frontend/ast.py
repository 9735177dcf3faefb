"""The syntax tree: what a spec says, with the exact place of every part. Nothing here knows what a name means."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from archdsl.core.record import record

if TYPE_CHECKING:
    from fractions import Fraction

    from archdsl.core.source import Source, Span


@record
class Syntax:
    """A part of a spec. Trees that say the same compare equal wherever they stand."""

    span: Span = field(compare=False, repr=False)


# --- values ----------------------------------------------------------------------------------------------------------


@record
class Number(Syntax):
    value: Fraction
    text: str = field(compare=False)


@record
class String(Syntax):
    value: str


@record
class Name(Syntax):
    id: str


@record
class InHand(Syntax):  # `in.channels`: an attribute of the value that a layer is applied to
    attribute: str


@record
class List(Syntax):
    items: tuple[Expr, ...]


@record
class Comprehension(Syntax):
    item: Expr
    names: tuple[Name, ...]
    iterable: Expr
    test: Expr | None


@record
class Range(Syntax):  # `a..b`, both ends included; without `b` it goes on for as long as its partners in a `zip`
    start: Expr
    stop: Expr | None


@record
class Unary(Syntax):
    operator: str
    operand: Expr


@record
class Binary(Syntax):
    operator: str
    left: Expr
    right: Expr


@record
class Conditional(Syntax):
    then: Expr
    test: Expr
    otherwise: Expr


@record
class Index(Syntax):
    value: Expr
    index: Expr


@record
class Argument(Syntax):
    name: Name | None
    value: Expr


@record
class Call(Syntax):
    name: Name
    arguments: tuple[Argument, ...]


@record
class Label(Syntax):  # of a stage, or of a value; `res{i}` holds names that are filled in when it is expanded
    text: str


Atom = Number | String | Name | InHand | Label
Expr = Atom | List | Comprehension | Range | Unary | Binary | Conditional | Index | Call


# --- chains ----------------------------------------------------------------------------------------------------------


@record
class Layer(Syntax):
    """A layer, a block, or a named value, with its arguments: which of them is known when names are resolved."""

    name: Name
    arguments: tuple[Argument, ...] | None


@record
class Merge(Syntax):  # a layer of several inputs: `concat { a -> b, c }`
    name: Name
    arguments: tuple[Argument, ...] | None
    branches: tuple[Chain, ...]


@record
class Lines(Syntax):  # a layer whose inputs are written a line at a time: `attention(8) { qkv: linear(64) }`
    name: Name
    arguments: tuple[Argument, ...] | None
    body: tuple[Statement, ...]


@record
class Shortcut(Syntax):
    test: Expr | None
    chain: Chain


@record
class Residual(Syntax):
    chain: Chain
    shortcut: Shortcut | None


@record
class Choose(Syntax):
    """`if test { chain } else { chain }` inside a chain; without `else` the value passes unchanged."""

    test: Expr
    then: Chain
    otherwise: Chain | Choose | None


@record
class Freezing(Syntax):  # `frozen { chain }`: layers that are not trained
    frozen: Frozen
    chain: Chain


@record
class Share(Syntax):  # `share NAME`: a layer or block once more, with the same weights
    name: Name | Label
    arguments: tuple[Argument, ...] | None


@record
class Group(Syntax):
    chain: Chain


@record
class Entering(Syntax):
    """`in` at the beginning of a chain: the value that enters the braces around it."""


Braced = Merge | Lines | Residual | Choose | Freezing | Share | Group
Link = Braced | Layer | Entering | Label


@record
class Step(Syntax):  # a link, perhaps repeated (`* 3`) and named (`as x`)
    link: Link
    count: Expr | None
    label: Label | None


@record
class Chain(Syntax):
    steps: tuple[Step, ...]


# --- statements ------------------------------------------------------------------------------------------------------


@record
class Header(Syntax):
    name: Name
    family: Name | None
    base: Name | None


@record
class Doc(Syntax):
    text: String


@record
class Import(Syntax):
    name: Name


@record
class Cite(Syntax):
    text: String


@record
class Binding(Syntax):
    name: Name
    value: Expr


@record
class Published(Syntax):
    figures: tuple[Binding, ...]
    clip: List | None
    source: String | None


@record
class Recipe(Syntax):
    bindings: tuple[Binding, ...]


@record
class Type(Syntax):
    """`int`, `list[int]`, or a choice of symbols `a | b`."""

    names: tuple[Name, ...]
    is_choice: bool = False


@record
class Declaration(Syntax):
    """One parameter; only a block's may lack a default."""

    name: Name
    type: Type | None
    default: Expr | None
    where: Expr | None


@record
class Param(Syntax):
    declarations: tuple[Declaration, ...]


@record
class Let(Syntax):
    bindings: tuple[Binding, ...]


@record
class Input(Syntax):
    name: Name
    kind: Name
    shape: List


@record
class Path(Syntax):
    name: Name
    chain: Chain


@record
class Drop(Syntax):  # `drop path NAME` or `drop stage NAME`
    name: Name
    is_stage: bool = False


@record
class Head(Syntax):
    """`head: chain` or `head NAME: chain`; a `dense` one gives its output at each position of a grid."""

    chain: Chain
    dense: bool
    name: Name | None = None  # of several heads


@record
class PathLine(Syntax):
    path: Name | None
    chain: Chain


@record
class BranchLine(Syntax):
    """A line of `attention { }`: the letters of the branches that it takes further, and how."""

    name: Name
    chain: Chain


@record
class Lateral(Syntax):
    source: Name
    target: Name
    fusion: Expr | None
    chain: Chain


@record
class If(Syntax):
    """A condition on statements, at the top or in a stage."""

    test: Expr
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@record
class For(Syntax):
    names: tuple[Name, ...]
    iterable: Expr
    body: tuple[Statement, ...]


@record
class Frozen(Syntax):
    test: Expr | None


@record
class Stage(Syntax):
    """`stage NAME { … }`; with `after`, a variant adds it behind that stage."""

    label: Label
    frozen: Frozen | None
    body: tuple[Statement, ...]
    after: Name | None = None


@record
class Freeze(Syntax):
    """`stage NAME frozen` without lines: a variant takes its base's stage."""

    label: Label
    frozen: Frozen


@record
class Block(Syntax):
    """`block NAME(…) { … }`; with `as KIND`, a spelling of one layer of that kind."""

    name: Name
    parameters: tuple[Declaration, ...]
    spelling: Name | None
    doc: String | None
    lets: tuple[Let, ...]
    chain: Chain


@record
class Function(Syntax):  # `let NAME(…) = VALUE`
    name: Name
    parameters: tuple[Declaration, ...]
    value: Expr


Statement = (
    Header | Doc | Import | Cite | Published | Recipe | Param | Let | Input | Path | Drop | Head
    | PathLine | BranchLine | Lateral | If | For | Stage | Freeze | Block | Function
)  # fmt: skip


@record
class Comment:
    span: Span
    text: str


@record
class File:
    """One parsed file. `comments` stand in the order of the text, apart from the tree."""

    source: Source = field(compare=False, repr=False)
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = field(compare=False)

    @property
    def header(self) -> Header | None:
        first = self.statements[0] if self.statements else None
        return first if isinstance(first, Header) else None
