"""The syntax tree: what a spec says, with the exact place of every part. Nothing here knows what a name means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from fractions import Fraction

    from archdsl.core.source import Source, Span


T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def part(cls: type[T]) -> type[T]:
    """A dataclass with the comparison and representation of `Syntax`: made for each class, they cost start-up.

    For the same reason type checkers alone see that it is frozen.
    """
    return dataclass(eq=False, repr=False)(cls)


@part
class Syntax:
    """A part of a spec. Trees that say the same compare equal wherever they stand."""

    span: Span = field(compare=False, repr=False)

    def _said(self) -> tuple[Any, ...]:
        fields = getattr(self, "__dataclass_fields__").values()  # noqa: B009  unknown to type checkers
        return tuple(getattr(self, f.name) for f in fields if f.compare)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash((type(self), self._said()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._said()))})"


# --- values ----------------------------------------------------------------------------------------------------------


@part
class Number(Syntax):
    value: Fraction
    text: str = field(compare=False)


@part
class String(Syntax):
    value: str


@part
class Name(Syntax):
    id: str


@part
class InHand(Syntax):
    """`in.channels`: an attribute of the value that a layer is applied to."""

    attribute: str


@part
class List(Syntax):
    items: tuple[Expr, ...]


@part
class Comprehension(Syntax):
    item: Expr
    names: tuple[Name, ...]
    iterable: Expr
    test: Expr | None


@part
class Range(Syntax):
    """`a..b`, both ends included; without `b` it goes on for as long as its partners in a `zip`."""

    start: Expr
    stop: Expr | None


@part
class Unary(Syntax):
    operator: str
    operand: Expr


@part
class Binary(Syntax):
    operator: str
    left: Expr
    right: Expr


@part
class Conditional(Syntax):
    then: Expr
    test: Expr
    otherwise: Expr


@part
class Index(Syntax):
    value: Expr
    index: Expr


@part
class Argument(Syntax):
    name: Name | None
    value: Expr


@part
class Call(Syntax):
    name: Name
    arguments: tuple[Argument, ...]


Expr = Number | String | Name | InHand | List | Comprehension | Range | Unary | Binary | Conditional | Index | Call


# --- chains ----------------------------------------------------------------------------------------------------------


@part
class Layer(Syntax):
    """A layer, a block, or a named value, with its arguments: which of them is known when names are resolved."""

    name: Name
    arguments: tuple[Argument, ...] | None


@part
class Merge(Syntax):
    """A layer of several inputs: `concat { a -> b, c }`."""

    name: Name
    arguments: tuple[Argument, ...] | None
    branches: tuple[Chain, ...]


@part
class Shortcut(Syntax):
    test: Expr | None
    chain: Chain


@part
class Residual(Syntax):
    chain: Chain
    shortcut: Shortcut | None


@part
class Choose(Syntax):
    """`if test { chain } else { chain }` inside a chain; without `else` the value passes unchanged."""

    test: Expr
    then: Chain
    otherwise: Chain | Choose | None


@part
class Group(Syntax):
    chain: Chain


Link = Layer | Merge | Residual | Choose | Group


@part
class Step(Syntax):
    """A link, perhaps repeated (`* 3`) and named (`as x`)."""

    link: Link
    count: Expr | None
    label: Name | None


@part
class Chain(Syntax):
    steps: tuple[Step, ...]


# --- statements ------------------------------------------------------------------------------------------------------


@part
class Header(Syntax):
    name: Name
    family: Name | None
    base: Name | None


@part
class Doc(Syntax):
    text: String


@part
class Import(Syntax):
    name: Name


@part
class Cite(Syntax):
    text: String


@part
class Binding(Syntax):
    name: Name
    value: Expr


@part
class Published(Syntax):
    figures: tuple[Binding, ...]
    clip: List | None
    source: String | None


@part
class Recipe(Syntax):
    bindings: tuple[Binding, ...]


@part
class Type(Syntax):
    """`int`, `list[int]`, or a choice of symbols `a | b`."""

    names: tuple[Name, ...]
    is_choice: bool = False


@part
class Declaration(Syntax):
    """One parameter; only a block's may lack a default."""

    name: Name
    type: Type | None
    default: Expr | None
    where: Expr | None


@part
class Param(Syntax):
    declarations: tuple[Declaration, ...]


@part
class Let(Syntax):
    bindings: tuple[Binding, ...]


@part
class Input(Syntax):
    name: Name
    kind: Name
    shape: List


@part
class Path(Syntax):
    name: Name
    chain: Chain


@part
class Drop(Syntax):
    name: Name


@part
class Head(Syntax):
    """`head: chain`; a `dense` one gives its output at each position of a grid."""

    chain: Chain
    dense: bool


@part
class Label(Syntax):
    """A stage's label; `res{i}` holds names that are filled in when it is expanded."""

    text: str


@part
class PathLine(Syntax):
    path: Name | None
    chain: Chain


@part
class Lateral(Syntax):
    source: Name
    target: Name
    fusion: Expr | None
    chain: Chain


@part
class If(Syntax):
    """A condition on statements, at the top or in a stage."""

    test: Expr
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@part
class For(Syntax):
    names: tuple[Name, ...]
    iterable: Expr
    body: tuple[Statement, ...]


@part
class Frozen(Syntax):
    test: Expr | None


@part
class Stage(Syntax):
    label: Label
    frozen: Frozen | None
    body: tuple[Statement, ...]


@part
class Block(Syntax):
    name: Name
    parameters: tuple[Declaration, ...]
    doc: String | None
    lets: tuple[Let, ...]
    chain: Chain


Statement = (
    Header | Doc | Import | Cite | Published | Recipe | Param | Let | Input | Path | Drop | Head
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
