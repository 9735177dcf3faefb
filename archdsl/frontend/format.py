r"""The canonical form of a spec.

Words. Four spaces of indentation, at most 100 columns, `LF` line ends. One space on both sides of `=`, `->`, `=>`, `|`,
comparisons, `+`, `-`, and the `*` that repeats a step; none around `*`, `/`, `//`, `%` and `..` in values, nor inside
round and square brackets. Parentheses stand only where the tree needs them. Numbers keep their spelling; strings have
the escapes `\\`, `\"`, `\n`, `\t`, but one that its author wrote over several lines stays as it is.

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

from archdsl.core.layout import HARD, Doc, Either, Line, Rows, Text, concat, fill, group, indent, join, layout
from archdsl.core.source import Source
from archdsl.frontend import ast
from archdsl.frontend.format_values import ValuePrinter
from archdsl.frontend.parse import parse
from archdsl.frontend.trivia import Places, weave

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.layout import Kind

WIDTH = 100


class FormatError(AssertionError):
    """The formatter would have changed what a file says: a fault of the formatter, never of the file."""


def format_text(text: str, name: str = "<text>") -> str:
    """A text in canonical form.

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
    """A syntax tree as text. Its spans say where the author ended lines; a tree without a text has none."""
    printer = _Printer(Places(file.source, file.comments))
    rows = layout(join(HARD, [printer.statement(s) for s in file.statements]), WIDTH) if file.statements else []
    return weave(rows, file.comments, file.source)


class _Printer(ValuePrinter):
    """Statements and chains as documents."""

    # --- statements ---

    def statement(self, node: ast.Statement) -> Doc:
        kind: Kind = "block" if isinstance(node, ast.Block) else "statement"
        start = Text("", node.span.start, kind)
        match node:
            case ast.If():
                return concat(start, self._if(node))
            case ast.For():
                head = concat("for ", self.names(node.names), " in ", self.value(node.iterable), " ")
                return concat(start, head, self._body(node.body, node.iterable.span.end))
            case ast.Stage():
                end = node.frozen.span.end if node.frozen is not None else node.label.span.end
                head = concat(f"stage {node.label.text} ", *self._frozen(node.frozen))
                return concat(start, head, self._body(node.body, end))
            case ast.Block():
                return concat(start, self._block(node))
            case ast.PathLine() | ast.Lateral() | ast.Path() | ast.Head():
                return concat(start, self._line(node))
            case _:
                return concat(start, self._simple(node))

    def _frozen(self, node: ast.Frozen | None) -> list[Doc | str]:
        if node is None:
            return []
        return ["frozen "] if node.test is None else ["frozen if ", self.value(node.test), " "]

    def _simple(self, node: ast.Statement) -> Doc:
        match node:
            case ast.Header():
                family = f" as {node.family.id}" if node.family else ""
                doc = concat(f"arch {node.name.id}{family}" + (f" extends {node.base.id}" if node.base else ""))
            case ast.Doc():
                doc = self.string(node.text)
            case ast.Import():
                doc = concat("import ", self.name(node.name))
            case ast.Cite():
                doc = concat("cite ", self.string(node.text))
            case ast.Published():
                doc = self._published(node)
            case ast.Param():
                doc = concat("param ", join(", ", [self.declaration(d) for d in node.declarations]))
            case ast.Let() | ast.Recipe():
                word = "let " if isinstance(node, ast.Let) else "recipe "
                doc = concat(word, self._bindings(node.bindings))
            case ast.Input():
                doc = concat("input ", self.name(node.name), ": ", self.name(node.kind), self.value(node.shape))
            case ast.Drop():
                doc = concat("drop path ", self.name(node.name))
            case _:
                message = f"{type(node).__name__} is not a simple statement"
                raise FormatError(message)
        return doc

    def _published(self, node: ast.Published) -> Doc:
        clip = [concat(" at [", self.values(node.clip.items), "]")] if node.clip else []
        source = [concat(" from ", self.string(node.source))] if node.source else []
        return concat("published ", self._bindings(node.figures), *clip, *source)

    def _line(self, node: ast.PathLine | ast.Lateral | ast.Path | ast.Head) -> Doc:
        match node:
            case ast.PathLine(path=None):
                return self._chain(node.chain, starts_line=True)
            case ast.PathLine(path=path):
                head = concat(self.name(path), ": ") if path else concat("")
            case ast.Path():
                head = concat("path ", self.name(node.name), " = ")
            case ast.Head():
                head = concat("head dense: " if node.dense else "head: ")
            case ast.Lateral():
                fusion = [concat(" by ", self.value(node.fusion))] if node.fusion else []
                head = concat("lateral ", self.name(node.source), " => ", self.name(node.target), *fusion, ": ")
        return concat(head, self._chain(node.chain))

    def _bindings(self, nodes: Sequence[ast.Binding]) -> Doc:
        return join(", ", [concat(self.name(n.name), " = ", self.value(n.value)) for n in nodes])

    def _body(self, nodes: Sequence[ast.Statement], after: int) -> Doc:
        """Braces around statements, a group of their own."""
        opening = self.places.find("{", after)
        broken = self.places.is_broken(opening, self.places.closing(opening))
        return group(self._braces([self.statement(n) for n in nodes], opening, "close"), broken=broken)

    def _braces(self, lines: Sequence[Doc], opening: int, kind: Kind = "") -> Doc:
        """Braces in the group around them: open or not as that is."""
        closing = Text("}", self.places.closing(opening), kind)
        if lines:
            between = indent(Line(), join(HARD, lines))
            return concat(Text("{", opening), between, Line(), closing)
        has_comments = self.places.comments(opening, self.places.closing(opening))
        return concat(Text("{", opening), HARD if has_comments else "", closing)

    def _if(self, node: ast.If) -> Doc:
        parts: list[Doc] = []
        openings: list[int] = []
        word = Text("if ", node.span.start)
        rest: Sequence[ast.Statement] = (node,)
        while len(rest) == 1 and isinstance(inner := rest[0], ast.If):
            opening = self.places.find("{", inner.test.span.end)
            body = self._braces([self.statement(n) for n in inner.body], opening, "close")
            parts.append(concat(word, self.value(inner.test), " ", body))
            openings.append(opening)
            at = self.places.next(self.places.closing(opening)) if inner.otherwise else -1
            word = Text("else if ", at)
            rest = inner.otherwise
        if rest:
            opening = self.places.find("{", word.at)
            body = self._braces([self.statement(n) for n in rest], opening, "close")
            parts.append(concat(Text("else ", word.at), body))
            openings.append(opening)
        return self._branches(parts, openings, may_be_rows=True)

    def _block(self, node: ast.Block) -> Doc:
        opening = self.places.find("(", node.name.span.end)
        parameters = self.brackets("(", opening, [self.declaration(p) for p in node.parameters], node.parameters)
        head = concat("block ", self.name(node.name), parameters, " ")
        lines = [concat(Text("", node.doc.span.start, "statement"), self.string(node.doc))] if node.doc else []
        lines += [self.statement(let) for let in node.lets]
        start = Text("", node.chain.span.start, "statement")
        lines.append(concat(start, self._chain(node.chain, starts_line=True)))
        brace = self.places.find("{", self.places.closing(opening))
        broken = self.places.is_broken(brace, self.places.closing(brace))
        return concat(head, group(self._braces(lines, brace, "close"), broken=broken))

    # --- chains ---

    def _chain(self, node: ast.Chain, *, starts_line: bool = False) -> Doc:
        steps = node.steps
        if len(steps) == 1:
            return self._step(steps[0], is_alone=starts_line)
        spans = [s.span for s in steps]
        breaks = {i for i in range(1, len(steps)) if self.places.is_broken(spans[i - 1].end, spans[i].start)}
        docs = [self._step(s) for s in steps]
        return fill(docs, frozenset(breaks), "", "-> ", 0 if starts_line else 4)

    def _step(self, node: ast.Step, *, is_alone: bool = False) -> Doc:
        link = self._link(node.link, is_alone=is_alone and node.count is None and node.label is None)
        count = [concat(" * ", self.count(node.count))] if node.count else []
        label = [concat(" as ", self.name(node.label))] if node.label else []
        return concat(link, *count, *label)

    def _link(self, node: ast.Link, *, is_alone: bool) -> Doc:
        match node:
            case ast.Layer():
                return concat(self.name(node.name), self.arguments(node.name, node.arguments))
            case ast.Merge():
                return self._merge(node)
            case ast.Residual():
                return self._residual(node, is_alone=is_alone)
            case ast.Choose():
                return self._choose(node, is_alone=is_alone)
            case ast.Group():
                start, end = node.span.start, self.places.closing(node.span.start)
                chain = indent(Line(""), self._chain(node.chain, starts_line=True))
                body = concat(Text("(", start), chain, Line(""), Text(")", end))
                return group(body, broken=self.places.is_broken(start, end))

    def _merge(self, node: ast.Merge) -> Doc:
        opening = self.places.find("{", node.name.span.end)
        closing = self.places.closing(opening)
        branches = join(concat(Either(",", ""), Line()), [self._chain(b, starts_line=True) for b in node.branches])
        body = concat(Text("{", opening), indent(Line(), branches), Line(), Text("}", closing))
        head = concat(self.name(node.name), self.arguments(node.name, node.arguments), " ")
        return concat(head, group(body, broken=self.places.is_broken(opening, closing)))

    def _residual(self, node: ast.Residual, *, is_alone: bool) -> Doc:
        openings = [self.places.find("{", node.span.start)]
        parts = [concat(Text("residual ", node.span.start), self._chain_braces(node.chain, openings[0]))]
        if node.shortcut:
            shortcut = node.shortcut
            test = [concat("if ", self.value(shortcut.test), " ")] if shortcut.test else []
            openings.append(self.places.find("{", shortcut.test.span.end if shortcut.test else shortcut.span.start))
            braces = self._chain_braces(shortcut.chain, openings[1])
            parts.append(concat(Text("shortcut ", shortcut.span.start), *test, braces))
        return self._branches(parts, openings, may_be_rows=is_alone)

    def _choose(self, node: ast.Choose, *, is_alone: bool) -> Doc:
        parts: list[Doc] = []
        openings: list[int] = []
        word = Text("if ", node.span.start)
        rest: ast.Choose | ast.Chain | None = node
        while isinstance(rest, ast.Choose):
            openings.append(self.places.find("{", rest.test.span.end))
            parts.append(concat(word, self.value(rest.test), " ", self._chain_braces(rest.then, openings[-1])))
            at = self.places.next(self.places.closing(openings[-1])) if rest.otherwise else -1
            word, rest = Text("else if ", at), rest.otherwise
        if rest:
            openings.append(self.places.find("{", word.at))
            parts.append(concat(Text("else ", word.at), self._chain_braces(rest, openings[-1])))
        return self._branches(parts, openings, may_be_rows=is_alone)

    def _chain_braces(self, node: ast.Chain, opening: int) -> Doc:
        return self._braces([self._chain(node, starts_line=True)], opening)

    def _branches(self, parts: Sequence[Doc], openings: Sequence[int], *, may_be_rows: bool) -> Doc:
        """Parts that each end in braces: all on one line, each on its own, or all braces open."""
        places = self.places
        closings = [places.closing(o) for o in openings]
        together = group(join(" ", parts), broken=places.is_broken(openings[0], closings[-1]))
        pairs = zip(openings, closings, strict=True)
        are_closed = not any(places.is_broken(o, c) for o, c in pairs) and not any(p.breaks for p in parts)
        have_lines = any(places.is_broken_after(c) for c in closings[:-1])
        if may_be_rows and are_closed and have_lines:
            return Rows(tuple(parts), together)
        return together
