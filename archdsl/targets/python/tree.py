"""Syntax tree of Python code; the printer breaks it into lines.

Nodes are plain classes: `dataclass` would cost start-up time for each. No node is changed after construction.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Precedence(IntEnum):
    """Operator precedence: an expression needs parentheses where a higher precedence is required."""

    CONDITIONAL = 0  # and lambda
    OR = 1
    AND = 2
    NOT = 3
    COMPARISON = 4
    BIT_OR = 5
    BIT_XOR = 6
    BIT_AND = 7
    SHIFT = 8
    SUM = 9
    PRODUCT = 10
    UNARY = 11
    POWER = 12
    PRIMARY = 13  # can be followed by `.name`, `[…]` and `(…)`


OPERATORS: dict[str, Precedence] = {
    "or": Precedence.OR,
    "and": Precedence.AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not"), Precedence.COMPARISON),
    "|": Precedence.BIT_OR,
    "^": Precedence.BIT_XOR,
    "&": Precedence.BIT_AND,
    **dict.fromkeys(("<<", ">>"), Precedence.SHIFT),
    **dict.fromkeys(("+", "-"), Precedence.SUM),
    **dict.fromkeys(("*", "/", "//", "%", "@"), Precedence.PRODUCT),
}

# --- expressions -----------------------------------------------------------------------------------------------------


class Expr:
    """An expression. `precedence` says where it needs brackets, `parts` are the expressions that it is made of."""

    __slots__ = ()
    precedence = Precedence.PRIMARY

    @property
    def parts(self) -> Sequence[Expr]:
        return ()


class Name(Expr):
    __slots__ = ("id",)

    def __init__(self, id: str) -> None:  # noqa: A002  as in Python's own tree
        self.id = id


class Literal(Expr):
    """A number or a string, as it is written."""

    __slots__ = ("text",)

    def __init__(self, text: object) -> None:
        self.text = str(text)


class Leaf(Expr):
    """Code that a template printed, on one line, with what it declares: how it binds and which names it reads."""

    __slots__ = ("names", "precedence", "text")

    def __init__(self, text: str, precedence: Precedence, names: frozenset[str] = frozenset()) -> None:
        self.text, self.names = text, names
        self.precedence = precedence


class Attribute(Expr):
    __slots__ = ("name", "value")

    def __init__(self, value: Expr, name: str) -> None:
        self.value, self.name = value, name

    @property
    def parts(self) -> Sequence[Expr]:
        return (self.value,)


class Subscript(Expr):
    __slots__ = ("index", "value")

    def __init__(self, value: Expr, index: Expr) -> None:
        self.value, self.index = value, index

    @property
    def parts(self) -> Sequence[Expr]:
        return self.value, self.index


class Call(Expr):
    __slots__ = ("arguments", "function", "keywords")

    def __init__(self, function: Expr, arguments: Iterable[Expr] = (), keywords: Iterable[Keyword] = ()) -> None:
        self.function, self.arguments, self.keywords = function, tuple(arguments), tuple(keywords)

    @property
    def parts(self) -> Sequence[Expr]:
        return self.function, *self.arguments, *self.keywords


class Keyword(Expr):
    """`name=value` in a call; without a name, `**value`."""

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: Expr) -> None:
        self.name, self.value = name, value

    @property
    def parts(self) -> Sequence[Expr]:
        return (self.value,)


class Starred(Expr):
    """`*value`, among arguments or the items of a list."""

    __slots__ = ("value",)

    def __init__(self, value: Expr) -> None:
        self.value = value

    @property
    def parts(self) -> Sequence[Expr]:
        return (self.value,)


class Unary(Expr):
    """`not x`, `-x`, `~x`."""

    __slots__ = ("operand", "operator", "precedence")

    def __init__(self, operator: str, operand: Expr) -> None:
        self.operator, self.operand = operator, operand
        self.precedence = Precedence.NOT if operator == "not" else Precedence.UNARY

    @property
    def parts(self) -> Sequence[Expr]:
        return (self.operand,)


class Binary(Expr):
    """`left operator right`, a comparison or `and` and `or`, too."""

    __slots__ = ("left", "operator", "precedence", "right")

    def __init__(self, left: Expr, operator: str, right: Expr) -> None:
        self.left, self.operator, self.right = left, operator, right
        self.precedence = OPERATORS[operator]

    @property
    def parts(self) -> Sequence[Expr]:
        return self.left, self.right


class Items(Expr):
    """A tuple, list or set, by its `brackets`: `()`, `[]` or `{}`; a tuple behind `return` has none."""

    __slots__ = ("brackets", "items")

    def __init__(self, items: Iterable[Expr], brackets: str = "()") -> None:
        self.items, self.brackets = tuple(items), brackets

    @property
    def parts(self) -> Sequence[Expr]:
        return self.items


class Dict(Expr):
    """A dict; one that is `broken` has a line for each item even where one line could hold them all."""

    __slots__ = ("broken", "items")

    def __init__(self, items: Iterable[tuple[Expr, Expr]], *, broken: bool = False) -> None:
        self.items, self.broken = tuple(items), broken

    @property
    def parts(self) -> Sequence[Expr]:
        return [part for item in self.items for part in item]


class Comprehension(Expr):
    """`element for target in iterable if condition` in `brackets`."""

    __slots__ = ("brackets", "conditions", "element", "iterable", "target")

    def __init__(
        self, element: Expr, target: Expr, iterable: Expr, conditions: Iterable[Expr] = (), brackets: str = "()"
    ) -> None:
        self.element, self.target, self.iterable = element, target, iterable
        self.conditions, self.brackets = tuple(conditions), brackets

    @property
    def parts(self) -> Sequence[Expr]:
        return self.element, self.target, self.iterable, *self.conditions


def called(function: str, arguments: Iterable[Expr] = (), **keywords: Expr) -> Call:
    """Return a call of a function by its name, which may have dots."""
    return Call(dotted(function), arguments, [Keyword(name, value) for name, value in keywords.items()])


def dotted(path: str) -> Expr:
    """Return `a.b.c`."""
    first, *others = path.split(".")
    expr: Expr = Name(first)
    for name in others:
        expr = Attribute(expr, name)
    return expr


def names(expr: Expr) -> Iterator[str]:
    """Yield the names that an expression reads, those of modules and functions, too."""
    if isinstance(expr, Name):
        yield expr.id
    elif isinstance(expr, Leaf):
        yield from expr.names
    for part in expr.parts:
        yield from names(part)


# --- statements ------------------------------------------------------------------------------------------------------


class Stmt:
    """A statement."""

    __slots__ = ()


class Assign(Stmt):
    """`first = second = value`; with another operator, such as `-=`, one target."""

    __slots__ = ("operator", "targets", "value")

    def __init__(self, targets: Iterable[Expr], value: Expr, operator: str = "=") -> None:
        self.targets, self.value, self.operator = tuple(targets), value, operator


class Return(Stmt):
    __slots__ = ("value",)

    def __init__(self, value: Expr) -> None:
        self.value = value


class Evaluate(Stmt):
    """An expression as a statement."""

    __slots__ = ("value",)

    def __init__(self, value: Expr) -> None:
        self.value = value


class If(Stmt):
    """An only `If` in `otherwise` is an `elif`."""

    __slots__ = ("body", "otherwise", "test")

    def __init__(self, test: Expr, body: Iterable[Stmt], otherwise: Iterable[Stmt] = ()) -> None:
        self.test, self.body, self.otherwise = test, tuple(body), tuple(otherwise)


class For(Stmt):
    __slots__ = ("body", "iterable", "target")

    def __init__(self, target: Expr, iterable: Expr, body: Iterable[Stmt]) -> None:
        self.target, self.iterable, self.body = target, iterable, tuple(body)


class With(Stmt):
    __slots__ = ("body", "context")

    def __init__(self, context: Expr, body: Iterable[Stmt]) -> None:
        self.context, self.body = context, tuple(body)


class Parameter:
    """A parameter of a function; without a type it is `self`."""

    __slots__ = ("default", "name", "type")

    def __init__(self, name: str, type: Expr | None = None, default: Expr | None = None) -> None:  # noqa: A002
        self.name, self.type, self.default = name, type, default


class Function(Stmt):
    __slots__ = ("body", "name", "parameters", "returns")

    def __init__(self, name: str, parameters: Iterable[Parameter], returns: Expr | None, body: Iterable[Stmt]) -> None:
        self.name, self.parameters, self.returns, self.body = name, tuple(parameters), returns, tuple(body)


class Class(Stmt):
    __slots__ = ("base", "body", "name")

    def __init__(self, name: str, base: Expr, body: Iterable[Stmt]) -> None:
        self.name, self.base, self.body = name, base, tuple(body)


class Docstring(Stmt):
    """The lines of a docstring, broken by whoever wrote it."""

    __slots__ = ("lines",)

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)


class Verbatim(Stmt):
    """Statements that a template printed: lines that stay as they are, but for their indentation."""

    __slots__ = ("lines",)

    def __init__(self, text: str) -> None:
        self.lines = text.strip("\n").split("\n")


def reads(statement: Stmt) -> Iterator[str]:
    """Yield the names that a statement of a function reads or sets."""
    match statement:
        case Assign():
            yield from (n for e in (*statement.targets, statement.value) for n in names(e))
        case Return() | Evaluate():
            yield from names(statement.value)
        case If() | For() | With():
            head = {If: "test", For: "iterable", With: "context"}[type(statement)]
            yield from names(getattr(statement, head))
            yield from (n for s in statement.body for n in reads(s))
            yield from (n for s in getattr(statement, "otherwise", ()) for n in reads(s))
        case _:
            return


class Module:
    """A file: a docstring and imports, a blank line between each two, then definitions."""

    __slots__ = ("definitions", "head")

    def __init__(self, head: Iterable[Stmt], definitions: Iterable[Stmt]) -> None:
        self.head, self.definitions = tuple(head), tuple(definitions)
