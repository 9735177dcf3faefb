"""Lark's parse tree to the syntax tree of `ast.py`, bottom-up and without recursion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lark import Token

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.frontend import ast
from archdsl.frontend.build_values import ValueBuilder, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.source import Source, Span


def build_statements(tree: Any, source: Source) -> tuple[ast.Statement, ...]:
    """Return the statements of a whole file."""
    return tuple(_transformed(tree, source).children)


def build_binding(tree: Any, source: Source) -> ast.Binding:
    """Return the tree of a lone setting."""
    return _transformed(tree, source)


def build_bindings(tree: Any, source: Source) -> tuple[ast.Binding, ...]:
    """Return the tree of several settings."""
    return tuple(_transformed(tree, source).children)


def _transformed(tree: Any, source: Source) -> Any:
    return cast("Any", _StatementBuilder(source)).transform(tree)  # Lark's types are incomplete


class _StatementBuilder(ValueBuilder):
    """Builder of chains and statements."""

    # --- chains ---

    def on_layer(self, span: Span, name: Token, arguments: Any) -> ast.Layer:
        return ast.Layer(span, self.name(name), arguments)

    def on_merge(self, span: Span, name: Token, arguments: Any, *branches: Any) -> ast.Merge:
        return ast.Merge(span, self.name(name), arguments, split(branches, ast.Chain))

    def on_lines(self, span: Span, name: Token, arguments: Any, *body: Any) -> ast.Lines:
        return ast.Lines(span, self.name(name), arguments, self._statements(body))

    def on_branch_line(self, span: Span, name: Token, chain: ast.Chain) -> ast.BranchLine:
        return ast.BranchLine(span, self.name(name), chain)

    def on_shortcut(self, span: Span, test: Any, chain: ast.Chain) -> ast.Shortcut:
        return ast.Shortcut(span, test, chain)

    def on_residual(self, span: Span, chain: ast.Chain, shortcut: Any) -> ast.Residual:
        return ast.Residual(span, chain, shortcut)

    def on_choose(self, span: Span, test: Any, then: ast.Chain, otherwise: Any = None) -> ast.Choose:
        return self.deeper(ast.Choose(span, test, then, otherwise), otherwise)

    def on_freezing(self, span: Span, frozen: ast.Frozen, chain: ast.Chain) -> ast.Freezing:
        return ast.Freezing(span, frozen, chain)

    def on_share(self, span: Span, _word: Token, name: Token, arguments: Any) -> ast.Share:
        named = self.on_label(self.span(name), name) if name.type == "LABEL" else self.name(name)
        return ast.Share(span, named, arguments)

    def on_group(self, span: Span, chain: ast.Chain) -> ast.Group:
        return ast.Group(span, chain)

    def on_entering(self, span: Span, _word: Token) -> ast.Entering:
        return ast.Entering(span)

    def on_step(self, span: Span, link: ast.Link, count: Any, label: Token | None) -> ast.Step:
        return ast.Step(span, link, count, self.on_label(self.span(label), label) if label is not None else None)

    def on_chain(self, span: Span, *steps: ast.Step) -> ast.Chain:
        return ast.Chain(span, steps)

    on_open_step = on_step
    on_open_chain = on_chain

    # --- statements ---

    def on_header(self, span: Span, name: Token, family: Token | None, base: Token | None) -> ast.Header:
        optional = [self.name(t) if t is not None else None for t in (family, base)]
        return ast.Header(span, self.name(name), *optional)

    def on_doc(self, span: Span, token: Token) -> ast.Doc:
        return ast.Doc(span, self.text(token))

    def on_import(self, span: Span, name: Token) -> ast.Import:
        return ast.Import(span, self.name(name))

    def on_cite(self, span: Span, token: Token) -> ast.Cite:
        return ast.Cite(span, self.text(token))

    def on_published(self, span: Span, *parts: Any) -> ast.Published:
        *figures, clip, source = parts
        return ast.Published(span, tuple(figures), clip, self.text(source) if source is not None else None)

    def on_recipe(self, span: Span, *bindings: ast.Binding) -> ast.Recipe:
        return ast.Recipe(span, bindings)

    def on_simple_type(self, span: Span, *names: Token | None) -> ast.Type:
        return ast.Type(span, tuple(self.name(n) for n in names if n is not None))

    def on_block_type(self, span: Span, word: Token) -> ast.Type:
        return ast.Type(span, (self.name(word),))

    def on_choice(self, span: Span, *names: Token) -> ast.Type:
        return ast.Type(span, tuple(self.name(n) for n in names), is_choice=True)

    def on_declaration(self, span: Span, name: Token, kind: Any, default: Any, where: Any) -> ast.Declaration:
        return ast.Declaration(span, self.name(name), kind, default, where)

    def on_parameter(self, span: Span, name: Token, kind: Any, default: Any) -> ast.Declaration:
        return ast.Declaration(span, self.name(name), kind, default, None)

    def on_param(self, span: Span, *declarations: ast.Declaration) -> ast.Param:
        return ast.Param(span, declarations)

    def on_binding(self, span: Span, name: Token, value: Any) -> ast.Binding:
        return ast.Binding(span, self.name(name), value)

    def on_let(self, span: Span, *bindings: ast.Binding) -> ast.Let:
        return ast.Let(span, bindings)

    def on_input(self, span: Span, name: Token, kind: Token, shape: ast.List) -> ast.Input:
        return ast.Input(span, self.name(name), self.name(kind), shape)

    def on_path(self, span: Span, name: Token, chain: ast.Chain) -> ast.Path:
        return ast.Path(span, self.name(name), chain)

    def on_drop(self, span: Span, name: Token) -> ast.Drop:
        return ast.Drop(span, self.name(name))

    def on_drop_stage(self, span: Span, name: Token) -> ast.Drop:
        return ast.Drop(span, self.name(name), is_stage=True)

    def on_head(self, span: Span, *parts: Any) -> ast.Head:
        words: list[Token] = [p for p in parts[:-1] if p is not None]
        chain = parts[-1]
        is_dense = bool(words) and words[0] == "dense"
        if len(words) > 1 and not is_dense:
            label = f"`{words[1]}` cannot stand here; expected `:` behind the name of the head"
            hint = f"write `head dense {words[0]}: {chain.span.text}`" if words[1] == "dense" else ""
            raise SpecError([Diagnostic("E0103", TITLES["E0103"], self.span(words[1]), label, (), hint)])
        own = words[is_dense:]
        return ast.Head(span, chain, is_dense, self.name(own[0]) if own else None)

    def on_names(self, _span: Span, *names: Token) -> tuple[ast.Name, ...]:
        return tuple(self.name(n) for n in names)

    def on_path_line(self, span: Span, *parts: Any) -> ast.PathLine:
        name = self.name(parts[0]) if len(parts) == 2 else None
        return ast.PathLine(span, name, parts[-1])

    def on_lateral(self, span: Span, source: Token, target: Token, fusion: Any, chain: ast.Chain) -> ast.Lateral:
        return ast.Lateral(span, self.name(source), self.name(target), fusion, chain)

    def on_if(self, span: Span, test: Any, *rest: Any) -> ast.If:
        *body, otherwise = rest
        return self.deeper(ast.If(span, test, self._statements(body), otherwise or ()), *(otherwise or ()))

    def on_else(self, _span: Span, *body: Any) -> tuple[ast.Statement, ...]:
        return self._statements(body)

    on_stage_if = on_branch_if = on_if
    on_stage_else = on_branch_else = on_else

    def on_for(self, span: Span, names: tuple[ast.Name, ...], iterable: Any, *body: Any) -> ast.For:
        return ast.For(span, names, iterable, self._statements(body))

    def on_frozen(self, span: Span, test: Any) -> ast.Frozen:
        return ast.Frozen(span, test)

    def on_after(self, _span: Span, _word: Token, name: Token) -> ast.Name:
        return self.name(name)

    def on_stage(
        self, span: Span, label: Token, after: ast.Name | None, frozen: ast.Frozen | None, *body: Any
    ) -> ast.Stage:
        return ast.Stage(span, self.on_label(self.span(label), label), frozen, self._statements(body), after)

    def on_freeze(self, span: Span, label: Token, frozen: ast.Frozen) -> ast.Freeze:
        return ast.Freeze(span, self.on_label(self.span(label), label), frozen)

    def on_function(self, span: Span, name: Token, *parts: Any) -> ast.Function:
        return ast.Function(span, self.name(name), split(parts, ast.Declaration), parts[-1])

    def on_spelling(self, _span: Span, kind: Token) -> ast.Name:
        return self.name(kind)

    def on_block(self, span: Span, name: Token, *parts: Any) -> ast.Block:
        docs = [self.text(p) for p in parts if isinstance(p, Token)]
        spelling = next((p for p in parts if isinstance(p, ast.Name)), None)
        chain = next(p for p in parts if isinstance(p, ast.Chain))
        parameters, lets = split(parts, ast.Declaration), split(parts, ast.Let)
        return ast.Block(span, self.name(name), parameters, spelling, docs[0] if docs else None, lets, chain)

    @staticmethod
    def _statements(items: Sequence[Any]) -> tuple[ast.Statement, ...]:
        return tuple(i for i in items if i is not None)
