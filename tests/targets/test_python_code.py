"""Trees of Python code print as `ruff format` leaves them, and read from text they are the same trees."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from archdsl.targets.python import printer
from archdsl.targets.python.printer import lines, module_text, text
from archdsl.targets.python.reader import expression
from archdsl.targets.python.tree import (
    Assign,
    Attribute,
    Binary,
    Call,
    Class,
    Comprehension,
    Dict,
    Docstring,
    Evaluate,
    For,
    Function,
    If,
    Items,
    Keyword,
    Literal,
    Module,
    Name,
    Parameter,
    Precedence,
    Return,
    Starred,
    Stmt,
    Subscript,
    Unary,
    Verbatim,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.targets.python.tree import Expr


def printed(statements: Iterable[Stmt], indentation: int = 0) -> str:
    return "\n".join(lines(statements, indentation)) + "\n"


def formatted(code: str) -> str:
    """Return code as `ruff format` writes it."""
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=True)
    return done.stdout


# --- random trees ----------------------------------------------------------------------------------------------------

WORDS = ("x", "clip", "fast_to_slow", "channels", "kernel_size", "module", "self", "stride", "torch")


class Trees:
    """Draws trees of the shapes that generated modules have."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def name(self) -> Name:
        return Name(self.rng.choice(WORDS))

    def atom(self) -> Expr:
        return self.rng.choice([self.name, self.dotted, lambda: Literal(self.rng.randrange(4096)), self.string])()

    def dotted(self) -> Expr:
        return Attribute(self.name(), self.rng.choice(WORDS))

    def string(self) -> Expr:
        return Literal(f'"{" ".join(self.rng.choices(WORDS, k=self.rng.randrange(1, 4)))}"')

    def value(self, depth: int) -> Expr:
        if depth <= 0:
            return self.atom()
        kinds = [self.atom, lambda: self.call(depth), lambda: self.items(depth), lambda: self.sum(depth)]
        return self.rng.choices(kinds, (3, 5, 2, 2))[0]()

    def call(self, depth: int) -> Expr:
        function = self.rng.choice([self.name, self.dotted])()
        arguments = [self.value(depth - 1) for _ in range(self.rng.randrange(4))]
        if self.rng.random() < 0.15:
            row = Comprehension(self.call(depth - 1), self.name(), Call(Name("range"), [self.atom()]))
            arguments += [Starred(row), self.atom()]
        names = self.rng.sample(WORDS, self.rng.randrange(3))
        return Call(function, arguments, [Keyword(n, self.value(depth - 1)) for n in names])

    def items(self, depth: int) -> Expr:
        values = [self.value(depth - 1) for _ in range(self.rng.randrange(1, 5))]
        if self.rng.random() < 0.2:
            return Dict([(self.string(), v) for v in values])
        return Items(values, self.rng.choice(["()", "[]"]))

    def sum(self, depth: int) -> Expr:
        operator = self.rng.choice(["+", "-", "*", "//", "%"])
        return Binary(self.value(depth - 1), operator, self.value(depth - 1))

    def test(self) -> Expr:
        sides = [Binary(self.value(1), self.rng.choice(["==", ">", "!="]), self.atom()) for _ in range(2)]
        return self.rng.choice([sides[0], Binary(sides[0], self.rng.choice(["and", "or"]), sides[1])])

    def statement(self) -> Stmt:
        depth = self.rng.randrange(1, 4)
        value = self.rng.choice([self.call, self.call, self.sum])(depth)
        kind = self.rng.randrange(3)
        if kind == 0:
            return Return(value)
        target = Subscript(Name("features"), self.string()) if self.rng.random() < 0.3 else self.dotted()
        return Assign([target, self.name()] if kind == 1 else [target], value)

    def function(self) -> Stmt:
        names = self.rng.sample(WORDS[:-1], self.rng.randrange(2, 7))
        parameters = [Parameter("self"), *(Parameter(n, Name("Tensor")) for n in names)]
        parameters += [Parameter("last", Name("int"), Literal(1))] if self.rng.random() < 0.5 else []
        body = [self.statement() for _ in range(3)]
        body.insert(0, If(self.test(), [self.statement()], self.rng.choice([(), body[:1]])))
        return Function("forward", parameters, Name("Tensor"), body)


@pytest.mark.parametrize("chunk", range(4))
def test_random_trees_print_as_ruff_formats_them(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From statements on one line each, so that no line end is there that ruff would only keep."""
    functions = [Trees(seed).function() for seed in range(chunk * 100, (chunk + 1) * 100)]
    code = "\n\n".join(printed([f]) for f in functions)
    with monkeypatch.context() as patch:
        patch.setattr(printer, "WIDTH", sys.maxsize)
        one_line = "\n\n".join(printed([f]) for f in functions)
    assert formatted(one_line) == code


@pytest.mark.parametrize("chunk", range(4))
def test_what_is_printed_is_read_as_the_same_tree(chunk: int) -> None:
    for seed in range(chunk * 100, (chunk + 1) * 100):
        tree = Trees(seed).value(4)
        line = text(tree)
        assert text(expression(line)) == line
        broken = printed([Assign([Name("x")], tree)])
        assert ast.dump(ast.parse(broken)) == ast.dump(ast.parse(f"x = {line}"))


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_a_file_is_one_that_ruff_leaves_alone() -> None:
    module = Name("nn")
    blocks = Call(Attribute(module, "ModuleDict"), [Dict([(Literal('"a"'), Call(Name("Block")))], broken=True)])
    row = Comprehension(Call(Name("Block"), keywords=[Keyword("p", Name("p"))]), Name("p"), Name("rates"))
    init = Function(
        "__init__",
        [Parameter("self"), Parameter("checkpointing", Name("bool"), Literal("False"))],
        Literal("None"),
        [
            Verbatim("super().__init__()"),
            Assign([Attribute(Name("self"), "blocks")], blocks),
            Assign([Attribute(Name("self"), "row")], Call(Attribute(module, "Sequential"), [Starred(row)])),
            For(Name("m"), Name("rates"), [Evaluate(Call(Name("print"), [Unary("-", Name("m"))]))]),
        ],
    )
    model = Class("Model", Attribute(module, "Module"), [Docstring(["A model of two", "lines."]), init])
    definitions = [model, Verbatim("def a() -> None:\n    pass")]
    head = [Docstring(["A file.", "", "Of tests.", ""]), Verbatim("from torch import nn\n\nrates = [0.1]")]
    code = module_text(Module(head, definitions))
    assert formatted(code) == code
    assert [type(n).__name__ for n in ast.parse(code).body] == [
        "Expr", "ImportFrom", "Assign", "ClassDef", "FunctionDef",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "code",
    [
        "x ** 2", "a if b else c", "lambda: 1", "-x", "not a", "a < b < c", "a + b * c", "(a + b) * c", "x[:, 1:]",
        "f(a for a in b)", "f(*a, **k)", "{**a}", "{1: 2}", "[a for a in b if c]", "a.b(c)[d]", "(a,)", "await_ @ b",
        "a or b and not c", "{a for a in b}", "[a for a in b for c in d]", "f'{x}' \"b\"", "~a & b | c ^ d << 2",
    ],
)  # fmt: skip
def test_text_is_read_and_printed_again(code: str) -> None:
    assert text(expression(code)) == code
    with_name = f"({code}).x" if expression(code).precedence < Precedence.PRIMARY else f"{code}.x"
    assert ast.dump(ast.parse(with_name)) == ast.dump(ast.parse(f"({code}).x"))
