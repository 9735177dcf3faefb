"""Random syntax trees, and random spellings of a text that say the same."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

from archdsl.core.source import Source, Span
from archdsl.frontend import ast
from archdsl.frontend.labels import with_labels
from archdsl.frontend.parse import parser

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

T = TypeVar("T")
NOWHERE = Span(Source("<none>", ""), 0, 0)
NUMBERS = {
    "0": 0, "3": 3, "64": 64, "1_000": 1000, "0.5": Fraction(1, 2), "34.57M": 34_570_000, "2e-3": Fraction(1, 500),
}  # fmt: skip
NAMES = ["a", "b", "x1", "width", "conv", "index", "a_long_name_that_fills_the_line"]
OPERATORS = "or and + + - - * * ** ** / // % == != <= >= < > in".split()


class Trees:
    """Draws trees of at most `depth` levels. Every kind of node and of its parts turns up."""

    def __init__(self, choice: random.Random, depth: int) -> None:
        self.choice = choice
        self.depth = depth

    def file(self) -> ast.File:
        return ast.File(NOWHERE.source, self.many(self.statement, 1, 4), ())

    def many(self, make: Callable[[], T], least: int = 0, most: int = 3) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.choice.randint(least, most)))

    def maybe(self, make: Callable[[], T]) -> T | None:
        return make() if self.choice.random() < 0.4 else None

    def one(self, *makers: Callable[[], T]) -> T:
        return self.choice.choice(makers)()

    def inner(self, small: Callable[[], T], *large: Callable[[], T]) -> T:
        """One of the large things a level deeper, or the small one."""
        if self.depth <= 0 or self.choice.random() < 0.3:
            return small()
        self.depth -= 1
        made = self.one(*large)
        self.depth += 1
        return made

    # --- values ---

    def name(self) -> ast.Name:
        return ast.Name(NOWHERE, self.choice.choice(NAMES))

    def label(self) -> ast.Label:
        return ast.Label(NOWHERE, self.choice.choice(["x1", "conv1", "res{i}", "s{i}_{j}x"]))

    def labelled(self) -> ast.Label:
        return ast.Label(NOWHERE, self.choice.choice(["res{i}", "s{i}_{j}x"]))

    def names(self) -> tuple[ast.Name, ...]:
        return self.many(self.name, 1, 2)

    def string(self) -> ast.String:
        return ast.String(NOWHERE, "".join(self.choice.choices('ab "\\\n\t#{}é\r', k=self.choice.randint(0, 8))))

    def number(self) -> ast.Number:
        text = self.choice.choice(list(NUMBERS))
        return ast.Number(NOWHERE, Fraction(NUMBERS[text]), text)

    def in_hand(self) -> ast.InHand:
        return ast.InHand(NOWHERE, self.choice.choice(["channels", "t"]))

    def leaf(self) -> ast.Expr:
        return self.one(self.number, self.number, self.name, self.name, self.string, self.in_hand)

    def list(self) -> ast.List:
        return ast.List(NOWHERE, self.many(self.value, 0, 5))

    def call(self) -> ast.Call:
        return ast.Call(NOWHERE, self.name(), self.many(self.argument))

    def value(self) -> ast.Expr:
        value, operator = self.value, self.choice.choice(OPERATORS)
        return self.inner(
            self.leaf,
            self.list,
            self.call,
            lambda: ast.Binary(NOWHERE, operator, value(), value()),
            lambda: ast.Binary(NOWHERE, operator, value(), value()),
            lambda: ast.Unary(NOWHERE, self.choice.choice(["-", "not"]), value()),
            lambda: ast.Range(NOWHERE, value(), self.maybe(value)),
            lambda: ast.Conditional(NOWHERE, value(), value(), value()),
            lambda: ast.Index(NOWHERE, value(), value()),
            lambda: ast.Comprehension(NOWHERE, value(), self.names(), value(), self.maybe(value)),
        )

    def argument(self) -> ast.Argument:
        return ast.Argument(NOWHERE, self.maybe(self.name), self.one(self.value, self.value, self.value, self.labelled))

    def arguments(self) -> tuple[ast.Argument, ...] | None:
        return self.maybe(lambda: self.many(self.argument))

    # --- chains ---

    def chain(self) -> ast.Chain:
        return ast.Chain(NOWHERE, self.many(self.step, 1, 4))

    def step(self) -> ast.Step:
        count, label = self.maybe(self.value), self.maybe(self.label) if self.choice.random() < 0.5 else None
        return ast.Step(NOWHERE, self.link(), count, label)

    def link(self) -> ast.Link:
        return self.inner(
            self.layer,
            self.layer,
            lambda: ast.Merge(NOWHERE, self.name(), self.arguments(), self.many(self.chain, 1, 3)),
            lambda: ast.Residual(NOWHERE, self.chain(), self.maybe(self.shortcut)),
            lambda: ast.Group(NOWHERE, self.chain()),
            lambda: ast.Entering(NOWHERE),
            self.labelled,
            lambda: ast.Lines(NOWHERE, self.name(), self.arguments(), self.many(self.branch_item, 0, 3)),
            self.choose,
            lambda: ast.Freezing(NOWHERE, ast.Frozen(NOWHERE, self.maybe(self.value)), self.chain()),
            lambda: ast.Share(NOWHERE, self.one(self.name, self.labelled), self.arguments()),
        )

    def branch_item(self) -> ast.Statement:
        """A line of `attention { }`."""
        return self.inner(
            lambda: ast.BranchLine(NOWHERE, self.name(), self.chain()),
            self.let,
            lambda: self.condition(self.branch_item),
        )

    def layer(self) -> ast.Layer:
        return ast.Layer(NOWHERE, self.name(), self.arguments())

    def shortcut(self) -> ast.Shortcut:
        return ast.Shortcut(NOWHERE, self.maybe(self.value), self.chain())

    def choose(self) -> ast.Choose:
        otherwise = self.one(lambda: None, self.chain, self.choose)
        return ast.Choose(NOWHERE, self.value(), self.chain(), otherwise)

    # --- statements ---

    def binding(self) -> ast.Binding:
        return ast.Binding(NOWHERE, self.name(), self.value())

    def let(self) -> ast.Let:
        return ast.Let(NOWHERE, self.many(self.binding, 1, 2))

    def type(self) -> ast.Type:
        is_choice = self.choice.random() < 0.5
        return ast.Type(NOWHERE, self.many(self.name, 2, 3) if is_choice else self.names(), is_choice)

    def declaration(self) -> ast.Declaration:
        return ast.Declaration(NOWHERE, self.name(), self.maybe(self.type), self.value(), self.maybe(self.value))

    def parameter(self) -> ast.Declaration:
        kind = self.maybe(self.type)
        if kind is not None and self.choice.random() < 0.2:
            kind = ast.Type(NOWHERE, (ast.Name(NOWHERE, "block"),))
        return ast.Declaration(NOWHERE, self.name(), kind, self.maybe(self.value), None)

    def line(self) -> ast.Statement:
        """A line of a stage. One without a path does not begin with `if`, which would be a condition on lines."""
        chain = self.chain()
        begins_with_if = isinstance(chain.steps[0].link, ast.Choose)
        path = self.name() if begins_with_if else self.maybe(self.name)
        return self.one(
            lambda: ast.PathLine(NOWHERE, path, chain),
            lambda: ast.Lateral(NOWHERE, self.name(), self.name(), self.maybe(self.value), chain),
            self.let,
        )

    def stage_item(self) -> ast.Statement:
        return self.inner(self.line, self.line, lambda: self.condition(self.stage_item))

    def condition(self, item: Callable[[], ast.Statement]) -> ast.If:
        return ast.If(NOWHERE, self.value(), self.many(item, 0, 2), self.many(item, 0, 2))

    def stage(self) -> ast.Stage | ast.Freeze:
        label = self.label()
        frozen = self.maybe(lambda: ast.Frozen(NOWHERE, self.maybe(self.value)))
        if frozen is not None and self.choice.random() < 0.3:
            return ast.Freeze(NOWHERE, label, frozen)
        return ast.Stage(NOWHERE, label, frozen, self.many(self.stage_item), self.maybe(self.name))

    def item(self) -> ast.Statement:
        return self.inner(
            self.let,
            self.stage,
            lambda: self.condition(self.item),
            lambda: ast.For(NOWHERE, self.names(), self.value(), self.many(self.item, 0, 2)),
        )

    def block(self) -> ast.Block:
        parameters, doc = self.many(self.parameter), self.maybe(self.string)
        spelling = self.maybe(self.name)
        return ast.Block(NOWHERE, self.name(), parameters, spelling, doc, self.many(self.let, 0, 2), self.chain())

    def function(self) -> ast.Function:
        return ast.Function(NOWHERE, self.name(), self.many(self.parameter), self.value())

    def statement(self) -> ast.Statement:
        name, maybe = self.name, self.maybe
        return self.one(
            self.item,
            self.item,
            self.item,
            self.block,
            self.block,
            self.function,
            lambda: ast.Header(NOWHERE, name(), maybe(name), maybe(name)),
            lambda: ast.Doc(NOWHERE, self.string()),
            lambda: ast.Import(NOWHERE, name()),
            lambda: ast.Cite(NOWHERE, self.string()),
            lambda: ast.Recipe(NOWHERE, self.many(self.binding, 1, 3)),
            lambda: ast.Published(NOWHERE, self.many(self.binding, 1, 2), maybe(self.list), maybe(self.string)),
            lambda: ast.Param(NOWHERE, self.many(self.declaration, 1, 2)),
            lambda: ast.Input(NOWHERE, name(), name(), self.list()),
            lambda: ast.Path(NOWHERE, name(), self.chain()),
            lambda: ast.Drop(NOWHERE, name(), is_stage=self.choice.random() < 0.5),
            lambda: ast.Head(NOWHERE, self.chain(), self.choice.random() < 0.5),
        )


def respell(text: str, choice: random.Random) -> str:
    """The same text with other spaces, line ends, blank lines and parentheses, and with comments here and there."""
    tokens = list(with_labels(parser().lex(text)))
    out: list[str] = []
    opened: list[str] = []
    for i, token in enumerate(tokens):
        following = tokens[i + 1].type if i + 1 < len(tokens) else "$END"
        if token.type == "_NL":
            out.append(_line_end(choice, always=True))
            continue
        is_value = bool(opened) and opened[-1] != "{"
        if token in {"(", "[", "{"}:
            opened.append(str(token))
        elif token in {")", "]", "}"}:
            opened.pop()
        is_value = is_value and bool(opened) and opened[-1] != "{"
        word = f"({token})" if token.type == "NUMBER" and choice.random() < 0.2 else str(token)
        out.append(word)
        if word == "stage":
            out.append(" ")
        elif is_value or word == "{" or following in {"ARROW", "ELSE", "SHORTCUT", "RBRACE"} or following == "$END":
            out.append(_line_end(choice, always=False))
        else:
            out.append(choice.choice([" ", " ", "  ", "\t"]))
    return "".join(out)


def _line_end(choice: random.Random, *, always: bool) -> str:
    if not always and choice.random() < 0.7:
        return " " * choice.randint(1, 2)
    parts = [f" # {choice.randint(0, 99)} {{" if choice.random() < 0.3 else "" for _ in range(choice.randint(1, 3))]
    return "".join(f"{part}\n{' ' * choice.randint(0, 9)}" for part in parts)
