"""Lark's parse tree to the syntax tree of `ast.py`, bottom-up and without recursion."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar, cast

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


def build_statements(tree: Any, source: Source) -> tuple[ast.Statement, ...]:
    """The statements of a whole file."""
    return tuple(_transformed(tree, source).children)


def build_binding(tree: Any, source: Source) -> ast.Binding:
    """The tree of a lone setting."""
    return _transformed(tree, source)


def build_bindings(tree: Any, source: Source) -> tuple[ast.Binding, ...]:
    """The tree of several settings."""
    return tuple(_transformed(tree, source).children)


def _transformed(tree: Any, source: Source) -> Any:
    return cast("Any", _Builder(source)).transform(tree)  # Lark's types are incomplete


def _split(items: Sequence[Any], kind: type) -> tuple[Any, ...]:
    return tuple(i for i in items if isinstance(i, kind))


class _Builder(Transformer_NonRecursive):  # pyright: ignore[reportMissingTypeArgument]  # Lark's takes none at run time
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

    def _name(self, token: Token) -> ast.Name:
        return ast.Name(self._span(token), str(token))

    def _span(self, token: Token) -> Span:
        return Span(self.source, token.start_pos or 0, token.end_pos or 0)

    def _text(self, token: Token) -> ast.String:
        raw = str(token).replace("\r\n", "\n")  # what a file says does not depend on its line ends
        quotes = 3 if raw.startswith('"""') else 1
        value = re.sub(r"\\(.)", lambda m: _ESCAPE.get(m[1], m[0]), raw[quotes:-quotes], flags=re.DOTALL)
        return ast.String(self._span(token), value)

    def _deeper(self, node: _Node, *parts: ast.Syntax | None) -> _Node:
        depth = 1 + max((self.depth.get(id(p), 0) for p in parts), default=0)
        if depth > MAX_DEPTH:
            label = f"more than {MAX_DEPTH} operations inside each other"
            raise SpecError([Diagnostic("E0702", TITLES["E0702"], node.span, label)])
        self.depth[id(node)] = depth
        return node

    # --- values ---

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
        return self._text(token)

    def on_name(self, _span: Span, token: Token) -> ast.Name:
        return self._name(token)

    def on_in_hand(self, span: Span, _in: Token, attribute: Token) -> ast.InHand:
        return ast.InHand(span, str(attribute))

    def on_list(self, span: Span, *items: Any) -> ast.Expr:
        kept = tuple(i for i in items if i is not None)
        return self._deeper(ast.List(span, kept), *kept)

    def on_comprehension(self, span: Span, item: Any, names: Any, iterable: Any, test: Any) -> ast.Expr:
        return self._deeper(ast.Comprehension(span, item, names, iterable, test), item, iterable, test)

    def on_conditional(self, span: Span, then: Any, test: Any, otherwise: Any) -> ast.Expr:
        return self._deeper(ast.Conditional(span, then, test, otherwise), then, test, otherwise)

    def on_range(self, span: Span, start: Any, stop: Any) -> ast.Expr:
        return self._deeper(ast.Range(span, start, stop), start, stop)

    def on_binary(self, span: Span, left: Any, operator: Token, right: Any) -> ast.Expr:
        return self._deeper(ast.Binary(span, str(operator), left, right), left, right)

    def on_disjunction(self, span: Span, left: Any, right: Any) -> ast.Expr:
        return self._deeper(ast.Binary(span, "or", left, right), left, right)

    def on_conjunction(self, span: Span, left: Any, right: Any) -> ast.Expr:
        return self._deeper(ast.Binary(span, "and", left, right), left, right)

    def on_negation(self, span: Span, operand: Any) -> ast.Expr:
        return self._deeper(ast.Unary(span, "not", operand), operand)

    def on_negative(self, span: Span, _minus: Token, operand: Any) -> ast.Expr:
        return self._deeper(ast.Unary(span, "-", operand), operand)

    def on_index(self, span: Span, value: Any, index: Any) -> ast.Expr:
        return self._deeper(ast.Index(span, value, index), value, index)

    def on_argument(self, span: Span, name: Token | None, value: Any) -> ast.Argument:
        return ast.Argument(span, self._name(name) if name is not None else None, value)

    def on_arguments(self, _span: Span, *items: Any) -> tuple[ast.Argument, ...]:
        return _split(items, ast.Argument)

    def on_call(self, span: Span, name: Token, arguments: tuple[ast.Argument, ...]) -> ast.Expr:
        return self._deeper(ast.Call(span, self._name(name), arguments), *(a.value for a in arguments))

    # --- chains ---

    def on_layer(self, span: Span, name: Token, arguments: Any) -> ast.Layer:
        return ast.Layer(span, self._name(name), arguments)

    def on_merge(self, span: Span, name: Token, arguments: Any, *branches: Any) -> ast.Merge:
        return ast.Merge(span, self._name(name), arguments, _split(branches, ast.Chain))

    def on_shortcut(self, span: Span, test: Any, chain: ast.Chain) -> ast.Shortcut:
        return ast.Shortcut(span, test, chain)

    def on_residual(self, span: Span, chain: ast.Chain, shortcut: Any) -> ast.Residual:
        return ast.Residual(span, chain, shortcut)

    def on_choose(self, span: Span, test: Any, then: ast.Chain, otherwise: Any = None) -> ast.Choose:
        return self._deeper(ast.Choose(span, test, then, otherwise), otherwise)

    def on_group(self, span: Span, chain: ast.Chain) -> ast.Group:
        return ast.Group(span, chain)

    def on_step(self, span: Span, link: ast.Link, count: Any, label: Token | None) -> ast.Step:
        return ast.Step(span, link, count, self._name(label) if label is not None else None)

    def on_chain(self, span: Span, *steps: ast.Step) -> ast.Chain:
        return ast.Chain(span, steps)

    on_open_step = on_step
    on_open_chain = on_chain

    # --- statements ---

    def on_header(self, span: Span, name: Token, family: Token | None, base: Token | None) -> ast.Header:
        optional = [self._name(t) if t is not None else None for t in (family, base)]
        return ast.Header(span, self._name(name), *optional)

    def on_doc(self, span: Span, token: Token) -> ast.Doc:
        return ast.Doc(span, self._text(token))

    def on_import(self, span: Span, name: Token) -> ast.Import:
        return ast.Import(span, self._name(name))

    def on_cite(self, span: Span, token: Token) -> ast.Cite:
        return ast.Cite(span, self._text(token))

    def on_published(self, span: Span, *parts: Any) -> ast.Published:
        *figures, clip, source = parts
        return ast.Published(span, tuple(figures), clip, self._text(source) if source is not None else None)

    def on_recipe(self, span: Span, *bindings: ast.Binding) -> ast.Recipe:
        return ast.Recipe(span, bindings)

    def on_simple_type(self, span: Span, *names: Token | None) -> ast.Type:
        return ast.Type(span, tuple(self._name(n) for n in names if n is not None))

    def on_choice(self, span: Span, *names: Token) -> ast.Type:
        return ast.Type(span, tuple(self._name(n) for n in names), is_choice=True)

    def on_declaration(self, span: Span, name: Token, kind: Any, default: Any, where: Any) -> ast.Declaration:
        return ast.Declaration(span, self._name(name), kind, default, where)

    def on_parameter(self, span: Span, name: Token, kind: Any, default: Any) -> ast.Declaration:
        return ast.Declaration(span, self._name(name), kind, default, None)

    def on_param(self, span: Span, *declarations: ast.Declaration) -> ast.Param:
        return ast.Param(span, declarations)

    def on_binding(self, span: Span, name: Token, value: Any) -> ast.Binding:
        return ast.Binding(span, self._name(name), value)

    def on_let(self, span: Span, *bindings: ast.Binding) -> ast.Let:
        return ast.Let(span, bindings)

    def on_input(self, span: Span, name: Token, kind: Token, shape: ast.List) -> ast.Input:
        return ast.Input(span, self._name(name), self._name(kind), shape)

    def on_path(self, span: Span, name: Token, chain: ast.Chain) -> ast.Path:
        return ast.Path(span, self._name(name), chain)

    def on_drop(self, span: Span, name: Token) -> ast.Drop:
        return ast.Drop(span, self._name(name))

    def on_head(self, span: Span, word: Token | None, chain: ast.Chain) -> ast.Head:
        if word is not None and word != "dense":
            label = f"`{word}` cannot stand here; expected `:` or `dense`"
            raise SpecError([Diagnostic("E0103", TITLES["E0103"], self._span(word), label)])
        return ast.Head(span, chain, word is not None)

    def on_names(self, _span: Span, *names: Token) -> tuple[ast.Name, ...]:
        return tuple(self._name(n) for n in names)

    def on_path_line(self, span: Span, *parts: Any) -> ast.PathLine:
        name = self._name(parts[0]) if len(parts) == 2 else None
        return ast.PathLine(span, name, parts[-1])

    def on_lateral(self, span: Span, source: Token, target: Token, fusion: Any, chain: ast.Chain) -> ast.Lateral:
        return ast.Lateral(span, self._name(source), self._name(target), fusion, chain)

    def on_if(self, span: Span, test: Any, *rest: Any) -> ast.If:
        *body, otherwise = rest
        return self._deeper(ast.If(span, test, self._statements(body), otherwise or ()), *(otherwise or ()))

    def on_else(self, _span: Span, *body: Any) -> tuple[ast.Statement, ...]:
        return self._statements(body)

    on_stage_if = on_if
    on_stage_else = on_else

    def on_for(self, span: Span, names: tuple[ast.Name, ...], iterable: Any, *body: Any) -> ast.For:
        return ast.For(span, names, iterable, self._statements(body))

    def on_frozen(self, span: Span, test: Any) -> ast.Frozen:
        return ast.Frozen(span, test)

    def on_stage(self, span: Span, label: Token, frozen: ast.Frozen | None, *body: Any) -> ast.Stage:
        return ast.Stage(span, ast.Label(self._span(label), str(label)), frozen, self._statements(body))

    def on_block(self, span: Span, name: Token, *parts: Any) -> ast.Block:
        docs = [self._text(p) for p in parts if isinstance(p, Token)]
        chain = next(p for p in parts if isinstance(p, ast.Chain))
        parameters, lets = _split(parts, ast.Declaration), _split(parts, ast.Let)
        return ast.Block(span, self._name(name), parameters, docs[0] if docs else None, lets, chain)

    @staticmethod
    def _statements(items: Sequence[Any]) -> tuple[ast.Statement, ...]:
        return tuple(i for i in items if i is not None)
