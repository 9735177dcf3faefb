r"""The canonical form of a spec.

Words. Four spaces of indentation, at most 100 columns, `LF` line ends. One space on both sides of `=`, `->`, `=>`, `|`,
comparisons, `+`, `-`, and the `*` that repeats a step; none around `*`, `/`, `//`, `%`, `**` and `..` in values, nor
inside round and square brackets. Parentheses stand only where the tree needs them. Numbers keep their spelling; strings
have the escapes `\\`, `\"`, `\n`, `\t`, but one that its author wrote over several lines stays as it is.

Blank lines. Between statements one is kept where the author had some; none stands first or last in a file or in braces;
every `block` has one above and below it.

Braces. What the author had on one line stays there if it fits; else what the braces hold gets lines of its own. Those
of `if … else` and of `residual … shortcut` are open or closed together; closed, each part keeps a line of its own where
the author gave it one. The branches of a merge have commas on one line and none on several. An `else` of a statement
that holds nothing but an `if` is written `else if`.

Chains. The author's line ends before `->` stay; a line that is too long gets more of them. The lines that go on stand
under the first, 4 deeper if the chain does not begin its line.

Brackets. Those behind which the author ended the line, or with a comment inside, are open: an item on each line, a
comma behind the last. Where a line is too long even so, they are opened from the outside in. A list of plain values
keeps the author's rows when it is open. An only item with brackets of its own shares the outer ones.

Comments. All stay, in their order: behind a line, with two spaces or, if the author aligned them, aligned with those of
the neighbouring lines; or on lines of their own. One inside what becomes a single line moves above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.layout import HARD, Doc, Text, concat, group, join, layout
from archdsl.core.source import Source
from archdsl.frontend import ast
from archdsl.frontend.format_chains import ChainPrinter
from archdsl.frontend.parse import parse
from archdsl.frontend.trivia import Places, weave

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.layout import Kind

WIDTH = 100


class FormatError(AssertionError):
    """The formatter would have changed what a file says: a fault of the formatter, never of the file."""


def format_text(text: str, name: str = "<text>") -> str:
    """Return a text in canonical form.

    Raises:
        SpecError: if it does not parse.
        FormatError: if the result would say something else or lack a comment.
    """
    file = parse(Source(name, text))
    result = format_file(file)
    if not result:
        return result
    again = parse(Source(name, result))
    if again.statements != file.statements:
        message = f"{name}: the formatted text has another syntax tree"
        raise FormatError(message)
    if [c.text for c in again.comments] != [c.text for c in file.comments]:
        message = f"{name}: the formatted text has other comments"
        raise FormatError(message)
    return result


def format_file(file: ast.File) -> str:
    """Return a syntax tree as text. Its spans say where the author ended lines; a tree without a text has none."""
    printer = _StatementPrinter(Places(file.source, file.comments))
    rows = layout(join(HARD, [printer.statement(s) for s in file.statements]), WIDTH) if file.statements else []
    return weave(rows, file.comments, file.source)


class _StatementPrinter(ChainPrinter):
    """Statements as documents."""

    def statement(self, node: ast.Statement) -> Doc:
        kind: Kind = "block" if isinstance(node, ast.Block) else "statement"
        start = Text("", node.span.start, kind)
        match node:
            case ast.If():
                return concat(start, self._if(node))
            case ast.For():
                head = concat("for ", self.names(node.names), " in ", self.value(node.iterable), " ")
                return concat(start, head, self.body(node.body, node.iterable.span.end))
            case ast.Stage():
                last = node.frozen or node.after or node.label
                end = last.span.end
                after = "" if node.after is None else f" after {node.after.id}"
                frozen = [] if node.frozen is None else [" ", self.frozen(node.frozen)]
                head = concat(f"stage {node.label.text}{after}", *frozen, " ")
                return concat(start, head, self.body(node.body, end))
            case ast.Freeze():
                return concat(start, f"stage {node.label.text} ", self.frozen(node.frozen))
            case ast.Block():
                return concat(start, self._block(node))
            case ast.Function():
                return concat(start, "let ", self._signature(node), " = ", self.value(node.value))
            case ast.PathLine() | ast.BranchLine() | ast.Lateral() | ast.Path() | ast.Head():
                return concat(start, self._line(node))
            case _:
                return concat(start, self._simple(node))

    def _simple(self, node: ast.Statement) -> Doc:
        match node:
            case ast.Header():
                family = f" as {node.family.id}" if node.family else ""
                doc = concat(f"arch {node.name.id}{family}" + (f" extends {node.base.id}" if node.base else ""))
            case ast.Doc() | ast.Cite():
                doc = concat("cite " if isinstance(node, ast.Cite) else "", self.string(node.text))
            case ast.Import() | ast.Drop():
                word = "import " if isinstance(node, ast.Import) else "drop stage " if node.is_stage else "drop path "
                doc = concat(word, self.name(node.name))
            case ast.Published():
                doc = self._published(node)
            case ast.Param():
                doc = concat("param ", join(", ", [self.declaration(d) for d in node.declarations]))
            case ast.Let() | ast.Recipe():
                word = "let " if isinstance(node, ast.Let) else "recipe "
                doc = concat(word, self._bindings(node.bindings))
            case ast.Input():
                doc = concat("input ", self.name(node.name), ": ", self.name(node.kind), self.value(node.shape))
            case _:
                message = f"{type(node).__name__} is not a simple statement"
                raise FormatError(message)
        return doc

    def _published(self, node: ast.Published) -> Doc:
        clip = [concat(" at [", self.values(node.clip.items), "]")] if node.clip else []
        source = [concat(" from ", self.string(node.source))] if node.source else []
        return concat("published ", self._bindings(node.figures), *clip, *source)

    def _line(self, node: ast.PathLine | ast.BranchLine | ast.Lateral | ast.Path | ast.Head) -> Doc:
        match node:
            case ast.PathLine(path=None):
                return self.chain(node.chain, starts_line=True)
            case ast.PathLine(path=path):
                head = concat(self.name(path), ": ") if path else concat("")
            case ast.BranchLine():
                head = concat(self.name(node.name), ": ")
            case ast.Path():
                head = concat("path ", self.name(node.name), " = ")
            case ast.Head():
                own = [" ", self.name(node.name)] if node.name is not None else []
                head = concat("head dense" if node.dense else "head", *own, ": ")
            case ast.Lateral():
                fusion = [concat(" by ", self.value(node.fusion))] if node.fusion else []
                head = concat("lateral ", self.name(node.source), " => ", self.name(node.target), *fusion, ": ")
        return concat(head, self.chain(node.chain))

    def _bindings(self, nodes: Sequence[ast.Binding]) -> Doc:
        return join(", ", [concat(self.name(n.name), " = ", self.value(n.value)) for n in nodes])

    def _if(self, node: ast.If) -> Doc:
        parts: list[Doc] = []
        openings: list[int] = []
        word = Text("if ", node.span.start)
        rest: Sequence[ast.Statement] = (node,)
        while len(rest) == 1 and isinstance(inner := rest[0], ast.If):
            opening = self.places.find("{", inner.test.span.end)
            body = self.braces([self.statement(n) for n in inner.body], opening, "close")
            parts.append(concat(word, self.value(inner.test), " ", body))
            openings.append(opening)
            at = self.places.next(self.places.closing(opening)) if inner.otherwise else -1
            word = Text("else if ", at)
            rest = inner.otherwise
        if rest:
            opening = self.places.find("{", word.at)
            body = self.braces([self.statement(n) for n in rest], opening, "close")
            parts.append(concat(Text("else ", word.at), body))
            openings.append(opening)
        return self.branches(parts, openings, may_be_rows=True)

    def _signature(self, node: ast.Block | ast.Function) -> Doc:
        opening = self.places.find("(", node.name.span.end)
        parameters = self.brackets("(", opening, [self.declaration(p) for p in node.parameters], node.parameters)
        return concat(self.name(node.name), parameters)

    def _block(self, node: ast.Block) -> Doc:
        spelling = concat(" as ", self.name(node.spelling)) if node.spelling is not None else ""
        head = concat("block ", self._signature(node), spelling, " ")
        lines = [concat(Text("", node.doc.span.start, "statement"), self.string(node.doc))] if node.doc else []
        lines += [self.statement(let) for let in node.lets]
        start = Text("", node.chain.span.start, "statement")
        lines.append(concat(start, self.chain(node.chain, starts_line=True)))
        brace = self.places.find("{", self.places.closing(self.places.find("(", node.name.span.end)))
        broken = self.places.is_broken(brace, self.places.closing(brace))
        return concat(head, group(self.braces(lines, brace, "close"), broken=broken))
