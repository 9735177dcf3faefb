"""Text of templates to trees, by Python's own parser, so that it can be broken into lines as trees are."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from archdsl.targets.python.tree import (
    Assign,
    Attribute,
    Binary,
    Call,
    Comprehension,
    Dict,
    Evaluate,
    Expr,
    Items,
    Keyword,
    Leaf,
    Literal,
    Name,
    Precedence,
    Return,
    Starred,
    Stmt,
    Subscript,
    Unary,
    With,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Or: "or", ast.And: "and", ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">",
    ast.GtE: ">=", ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not", ast.BitOr: "|",
    ast.BitXor: "^", ast.BitAnd: "&", ast.LShift: "<<", ast.RShift: ">>", ast.Add: "+", ast.Sub: "-", ast.Mult: "*",
    ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.MatMult: "@", ast.Not: "not", ast.USub: "-", ast.UAdd: "+",
    ast.Invert: "~",
}  # fmt: skip


def expression(text: str) -> Expr:
    """Return the tree of an expression. What no node is for stays as it is written, as a `Leaf`.

    Raises:
        SyntaxError: if the text is no expression.
    """
    return Reader(text).read(ast.parse(text, mode="eval").body)


def statements(text: str) -> list[Stmt]:
    """Return the trees of statements.

    Raises:
        SyntaxError: if the text is no Python.
        ValueError: if there is no node for one of them.
    """
    reader = Reader(text)
    return [reader.required(node) for node in ast.parse(text).body]


class Reader:
    """Reader of the parts of one text by their positions."""

    def __init__(self, text: str) -> None:
        self.lines = [line.encode() for line in text.split("\n")]

    def required(self, node: ast.stmt) -> Stmt:
        """Return the tree of a statement."""
        statement = self.statement(node)
        if statement is None:
            message = f"there is no tree for {ast.unparse(node)}"
            raise ValueError(message)
        return statement

    def statement(self, node: ast.stmt) -> Stmt | None:
        """Return the tree of a statement; None if there is no node for it."""
        match node:
            case ast.Assign():
                return Assign(map(self.read, node.targets), self.read(node.value))
            case ast.AugAssign() if type(node.op) in _OPERATORS:
                return Assign([self.read(node.target)], self.read(node.value), f"{_OPERATORS[type(node.op)]}=")
            case ast.Return() if node.value is not None:
                return Return(self.read(node.value))
            case ast.Expr():
                return Evaluate(self.read(node.value))
            case ast.With(items=[ast.withitem(context_expr=context, optional_vars=None)]):
                return With(self.read(context), map(self.required, node.body))
            case _:
                return None

    def read(self, node: ast.expr) -> Expr:
        """Return the tree of an expression."""
        match node:
            case ast.Name():
                return Name(node.id)
            case ast.Constant() | ast.JoinedStr():
                return Literal(self._text(node))
            case ast.Attribute():
                return Attribute(self.read(node.value), node.attr)
            case ast.Subscript():
                return Subscript(self.read(node.value), self._index(node.slice))
            case ast.Call():
                keywords = [Keyword(k.arg or "", self.read(k.value)) for k in node.keywords]
                return Call(self.read(node.func), map(self.read, node.args), keywords)
            case ast.Tuple() | ast.List() | ast.Set():
                return self._items(node)
            case _:
                return self._compound(node)

    def _compound(self, node: ast.expr) -> Expr:
        match node:
            case ast.Starred():
                return Starred(self.read(node.value))
            case ast.GeneratorExp() | ast.ListComp() | ast.SetComp() if len(node.generators) == 1:
                return self._comprehension(node)
            case ast.Dict() if None not in node.keys:
                keys = [self.read(k) for k in node.keys if k is not None]
                return Dict(zip(keys, map(self.read, node.values), strict=True))
            case _:
                return self._operation(node)

    def _operation(self, node: ast.expr) -> Expr:
        match node:
            case ast.BinOp() if type(node.op) in _OPERATORS:
                return Binary(self.read(node.left), _OPERATORS[type(node.op)], self.read(node.right))
            case ast.Compare(ops=[operator]):
                return Binary(self.read(node.left), _OPERATORS[type(operator)], self.read(node.comparators[0]))
            case ast.BoolOp():
                first, *others = map(self.read, node.values)
                for other in others:
                    first = Binary(first, _OPERATORS[type(node.op)], other)
                return first
            case ast.UnaryOp():
                return Unary(_OPERATORS[type(node.op)], self.read(node.operand))
            case _:
                return Leaf(self._text(node), _precedence(node), names_in(node))

    def _index(self, node: ast.expr) -> Expr:
        """Return what stands in a subscript, whose spaces depend on more than its parts."""
        simple = isinstance(node, (ast.Name, ast.Constant, ast.Call))
        return self.read(node) if simple else Leaf(self._text(node), Precedence.CONDITIONAL, names_in(node))

    def _items(self, node: ast.Tuple | ast.List | ast.Set) -> Expr:
        brackets = "[]" if isinstance(node, ast.List) else "{}" if isinstance(node, ast.Set) else "()"
        if isinstance(node, ast.Tuple) and not self._text(node).startswith("("):
            brackets = ""
        return Items(map(self.read, node.elts), brackets)

    def _comprehension(self, node: ast.GeneratorExp | ast.ListComp | ast.SetComp) -> Expr:
        brackets = {ast.GeneratorExp: "()", ast.ListComp: "[]", ast.SetComp: "{}"}[type(node)]
        clause = node.generators[0]
        iterable, conditions = self.read(clause.iter), map(self.read, clause.ifs)
        return Comprehension(self.read(node.elt), self.read(clause.target), iterable, conditions, brackets)

    def _text(self, node: ast.expr) -> str:
        """Return the text of a node on one line."""
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        if first == last:
            return self.lines[first][node.col_offset : node.end_col_offset].decode()
        parts = [self.lines[first][node.col_offset :], *self.lines[first + 1 : last]]
        return joined([part.decode() for part in (*parts, self.lines[last][: node.end_col_offset])])


def joined(lines: Sequence[str]) -> str:
    """Return the lines of one statement as one line."""
    code = lines[0].strip()
    for line in map(str.strip, lines[1:]):
        if line[:1] in {")", "]", "}"}:
            code = code.removesuffix(",") + line
        else:
            code += line if code[-1] in "([{" else f" {line}"
    return code


def names_in(node: ast.AST) -> frozenset[str]:
    """Return the names that code reads or sets."""
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))


def _precedence(node: ast.expr) -> Precedence:
    """Return how tightly an expression binds that no node is for."""
    match node:
        case ast.BinOp():
            return Precedence.POWER
        case ast.Compare():
            return Precedence.COMPARISON
        case ast.Await() | ast.ListComp() | ast.GeneratorExp() | ast.SetComp() | ast.DictComp() | ast.Dict():
            return Precedence.PRIMARY
        case _:
            return Precedence.CONDITIONAL
