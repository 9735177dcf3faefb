"""Names, texts, values and arguments of Lark's parse tree to the syntax tree of `ast.py`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

from lark import Token, Tree
from lark.visitors import Transformer_NonRecursive

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.source import Source, Span
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_EXPONENT = 30
MAX_DEPTH = 100  # of operators inside each other; Python's own recursion limit is far above it
_Node = TypeVar("_Node", bound=ast.Syntax)
_SUFFIX = {"K": 10**3, "M": 10**6, "G": 10**9}
_ESCAPE = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def split(items: Sequence[Any], kind: type) -> tuple[Any, ...]:
    """Return those of some parts that are of one kind."""
    return tuple(i for i in items if isinstance(i, kind))


class ValueBuilder(Transformer_NonRecursive):  # pyright: ignore[reportMissingTypeArgument]  # Lark's takes none
    """Builder of a node for each grammar rule with a method `on_RULE`, from its span and its parts, bottom-up."""

    def __init__(self, source: Source) -> None:
        super().__init__(visit_tokens=False)
        self.source = source
        self.depth: dict[int, int] = {}

    def _call_userfunc(self, tree: Tree[Any], new_children: list[Any] | None = None) -> Any:
        children = tree.children if new_children is None else new_children
        if tree.data == "file":
            return Tree("file", children)
        make: Callable[..., Any] | None = getattr(self, f"on_{tree.data}", None)
        if make is None:
            return Tree(tree.data, children)
        meta = tree.meta
        return make(Span(self.source, meta.start_pos, meta.end_pos), *children)

    def name(self, token: Token) -> ast.Name:
        """Return a word as a name."""
        return ast.Name(self.span(token), str(token))

    def span(self, token: Token) -> Span:
        """Return the place of a token."""
        return Span(self.source, token.start_pos or 0, token.end_pos or 0)

    def text(self, token: Token) -> ast.String:
        """Return what a string in quotes holds."""
        raw = str(token).replace("\r\n", "\n")  # what a file says does not depend on its line ends
        quotes = 3 if raw.startswith('"""') else 1
        value = re.sub(r"\\(.)", lambda m: _ESCAPE.get(m[1], m[0]), raw[quotes:-quotes], flags=re.DOTALL)
        return ast.String(self.span(token), value)

    def deeper(self, node: _Node, *parts: ast.Syntax | None) -> _Node:
        """Return a node that holds others. Raise SpecError where too many are inside each other."""
        depth = 1 + max((self.depth.get(id(p), 0) for p in parts), default=0)
        if depth > MAX_DEPTH:
            label = f"more than {MAX_DEPTH} operations inside each other"
            raise SpecError([Diagnostic("E0702", TITLES["E0702"], node.span, label)])
        self.depth[id(node)] = depth
        return node

    def on_number(self, span: Span, token: Token) -> ast.Number:
        text = str(token)
        scale = _SUFFIX.get(text[-1], 1)
        digits = text.rstrip("KMG").replace("_", "")
        exponent = re.search(r"[eE]([+-]?\d+)$", digits)
        if len(digits) > 2 * MAX_EXPONENT or (exponent and abs(int(exponent[1])) > MAX_EXPONENT):
            label = f"a number has at most {2 * MAX_EXPONENT} digits, and an exponent of {MAX_EXPONENT}"
            raise SpecError([Diagnostic("E0703", TITLES["E0703"], span, label)])
        return ast.Number(span, Fraction(digits) * scale, text)

    def on_string(self, _span: Span, token: Token) -> ast.String:
        return self.text(token)

    def on_name(self, _span: Span, token: Token) -> ast.Name:
        return self.name(token)

    def on_label(self, span: Span, token: Token) -> ast.Label:
        return ast.Label(span, str(token))

    def on_in_hand(self, span: Span, _in: Token, attribute: Token) -> ast.InHand:
        return ast.InHand(span, str(attribute))

    def on_list(self, span: Span, *items: Any) -> ast.Expr:
        kept = tuple(i for i in items if i is not None)
        return self.deeper(ast.List(span, kept), *kept)

    def on_comprehension(self, span: Span, item: Any, names: Any, iterable: Any, test: Any) -> ast.Expr:
        return self.deeper(ast.Comprehension(span, item, names, iterable, test), item, iterable, test)

    def on_conditional(self, span: Span, then: Any, test: Any, otherwise: Any) -> ast.Expr:
        return self.deeper(ast.Conditional(span, then, test, otherwise), then, test, otherwise)

    def on_range(self, span: Span, start: Any, stop: Any) -> ast.Expr:
        return self.deeper(ast.Range(span, start, stop), start, stop)

    def on_binary(self, span: Span, left: Any, operator: Token, right: Any) -> ast.Expr:
        return self.deeper(ast.Binary(span, str(operator), left, right), left, right)

    def on_disjunction(self, span: Span, left: Any, right: Any) -> ast.Expr:
        return self.deeper(ast.Binary(span, "or", left, right), left, right)

    def on_conjunction(self, span: Span, left: Any, right: Any) -> ast.Expr:
        return self.deeper(ast.Binary(span, "and", left, right), left, right)

    def on_negation(self, span: Span, operand: Any) -> ast.Expr:
        return self.deeper(ast.Unary(span, "not", operand), operand)

    def on_negative(self, span: Span, _minus: Token, operand: Any) -> ast.Expr:
        return self.deeper(ast.Unary(span, "-", operand), operand)

    def on_index(self, span: Span, value: Any, index: Any) -> ast.Expr:
        return self.deeper(ast.Index(span, value, index), value, index)

    def on_argument(self, span: Span, name: Token | None, value: Any) -> ast.Argument:
        return ast.Argument(span, self.name(name) if name is not None else None, value)

    def on_arguments(self, _span: Span, *items: Any) -> tuple[ast.Argument, ...]:
        return split(items, ast.Argument)

    def on_call(self, span: Span, name: Token, arguments: tuple[ast.Argument, ...]) -> ast.Expr:
        return self.deeper(ast.Call(span, self.name(name), arguments), *(a.value for a in arguments))
