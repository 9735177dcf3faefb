"""The canonical form of chains: their steps, and the braces that hold branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.layout import HARD, Doc, Either, Line, Rows, Text, concat, fill, group, indent, join
from archdsl.frontend import ast
from archdsl.frontend.format_values import ValuePrinter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.layout import Kind


class ChainPrinter(ValuePrinter):
    """Chains as documents."""

    def chain(self, node: ast.Chain, *, starts_line: bool = False) -> Doc:
        """Return the steps of a chain, with the author's line ends."""
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
            case ast.Lines():
                end = node.arguments[-1].span.end if node.arguments else node.name.span.end
                head = concat(self.name(node.name), self.arguments(node.name, node.arguments), " ")
                return concat(head, self.body(node.body, end))
            case ast.Residual():
                return self._residual(node, is_alone=is_alone)
            case ast.Choose():
                return self._choose(node, is_alone=is_alone)
            case ast.Label() | ast.Entering():
                return self.name(node)
            case _:
                return self._other(node)

    def _other(self, node: ast.Group | ast.Freezing | ast.Share) -> Doc:
        match node:
            case ast.Freezing():
                return self._freezing(node)
            case ast.Share():
                return concat("share ", self.name(node.name), self.arguments(node.name, node.arguments))
            case ast.Group():
                start, end = node.span.start, self.places.closing(node.span.start)
                chain = indent(Line(""), self.chain(node.chain, starts_line=True))
                body = concat(Text("(", start), chain, Line(""), Text(")", end))
                return group(body, broken=self.places.is_broken(start, end))

    def _merge(self, node: ast.Merge) -> Doc:
        opening = self.places.find("{", node.name.span.end)
        closing = self.places.closing(opening)
        branches = join(concat(Either(",", ""), Line()), [self.chain(b, starts_line=True) for b in node.branches])
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
        return self.branches(parts, openings, may_be_rows=is_alone)

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
        return self.branches(parts, openings, may_be_rows=is_alone)

    def _freezing(self, node: ast.Freezing) -> Doc:
        opening = self.places.find("{", node.frozen.span.end)
        broken = self.places.is_broken(opening, self.places.closing(opening))
        return group(concat(self.frozen(node.frozen), " ", self._chain_braces(node.chain, opening)), broken=broken)

    def frozen(self, node: ast.Frozen) -> Doc:
        """Return the word, with its condition if it has one."""
        word = Text("frozen", node.span.start)
        return concat(word) if node.test is None else concat(word, " if ", self.value(node.test))

    def _chain_braces(self, node: ast.Chain, opening: int) -> Doc:
        return self.braces([self.chain(node, starts_line=True)], opening)

    def statement(self, node: ast.Statement) -> Doc:
        """Return a statement, such as a line of `attention { }`."""
        raise NotImplementedError

    def body(self, nodes: Sequence[ast.Statement], after: int) -> Doc:
        """Return braces around statements, a group of their own."""
        opening = self.places.find("{", after)
        broken = self.places.is_broken(opening, self.places.closing(opening))
        return group(self.braces([self.statement(n) for n in nodes], opening, "close"), broken=broken)

    def braces(self, lines: Sequence[Doc], opening: int, kind: Kind = "") -> Doc:
        """Return lines in braces of the group around them, open or not as that is."""
        closing = Text("}", self.places.closing(opening), kind)
        if lines:
            between = indent(Line(), join(HARD, lines))
            return concat(Text("{", opening), between, Line(), closing)
        has_comments = self.places.comments(opening, self.places.closing(opening))
        return concat(Text("{", opening), HARD if has_comments else "", closing)

    def branches(self, parts: Sequence[Doc], openings: Sequence[int], *, may_be_rows: bool) -> Doc:
        """Return parts that each end in braces: all on one line, each on its own, or all braces open."""
        places = self.places
        closings = [places.closing(o) for o in openings]
        together = group(join(" ", parts), broken=places.is_broken(openings[0], closings[-1]))
        pairs = zip(openings, closings, strict=True)
        are_closed = not any(places.is_broken(o, c) for o, c in pairs) and not any(p.breaks for p in parts)
        have_lines = any(places.is_broken_after(c) for c in closings[:-1])
        if may_be_rows and are_closed and have_lines:
            return Rows(tuple(parts), together)
        return together
