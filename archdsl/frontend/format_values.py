"""Values as documents, with the parentheses that they need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.core.layout import Doc, Either, Line, Text, concat, fill, group, indent, join
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.frontend.trivia import Places

# Operator precedence, as in grammar.lark, from `expr` to `atom`.
_CONDITIONAL, _RANGE, _OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _UNARY, _POWER, _POSTFIX = range(11)
_LEVELS = {
    "or": _OR, "and": _AND, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "//": _PRODUCT, "%": _PRODUCT,
    "**": _POWER,
}  # fmt: skip
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
_BRACKETED = (ast.List, ast.Call, ast.Comprehension)


class ValuePrinter:
    """Values, arguments and declarations as documents."""

    def __init__(self, places: Places) -> None:
        self.places = places

    def name(self, node: ast.Name | ast.Label | ast.Entering) -> Doc:
        text = "in" if isinstance(node, ast.Entering) else node.id if isinstance(node, ast.Name) else node.text
        return Text(text, node.span.start)

    def names(self, nodes: Sequence[ast.Name]) -> Doc:
        return join(", ", [self.name(n) for n in nodes])

    def string(self, node: ast.String) -> Doc:
        """Return a string; one in triple quotes on several lines is unchanged."""
        text = node.span.text
        if not (text.startswith('"""') and "\n" in text):
            text = '"' + re.sub(r'[\\"\n\t]', lambda m: _ESCAPES[m[0]], node.value) + '"'
        return Text(text.replace("\r\n", "\n"), node.span.start)

    def value(self, node: ast.Expr, level: int = _CONDITIONAL) -> Doc:
        """Return a value, in parentheses if its precedence is below `level`."""
        bare = self._operation(node)
        return concat("(", bare, ")") if _level(node) < level else bare

    def values(self, nodes: Sequence[ast.Expr]) -> Doc:
        """Return values on one line."""
        return join(", ", [self.value(n) for n in nodes])

    def count(self, node: ast.Expr) -> Doc:
        """Return the count of a repeat, in parentheses unless the grammar allows it without."""
        if isinstance(node, ast.Index):
            return concat(self.count(node.value), "[", self.value(node.index), "]")
        bare = self.value(node)
        return bare if isinstance(node, ast.Number | ast.Name | ast.Call) else concat("(", bare, ")")

    def _operation(self, node: ast.Expr) -> Doc:
        match node:
            case ast.Binary():
                doc = self._binary(node)
            case ast.Unary(operator="not"):
                doc = concat("not ", self.value(node.operand, _NOT))
            case ast.Unary():
                doc = concat("-", self.value(node.operand, _UNARY))
            case ast.Conditional():
                then, test = self.value(node.then, _RANGE), self.value(node.test, _RANGE)
                doc = concat(then, " if ", test, " else ", self.value(node.otherwise))
            case ast.Range():
                stop = [self.value(node.stop, _OR)] if node.stop else []
                doc = concat(self.value(node.start, _OR), "..", *stop)
            case ast.Index():
                doc = concat(self.value(node.value, _POSTFIX), "[", self.value(node.index), "]")
            case _:
                doc = self._atom(node)
        return doc

    def _binary(self, node: ast.Binary) -> Doc:
        level = _level(node)
        if level == _POWER:
            return concat(self.value(node.left, _POSTFIX), "**", self.value(node.right, _UNARY))
        space = "" if level == _PRODUCT else " "
        left = self.value(node.left, level + (level == _COMPARISON))
        return concat(left, f"{space}{node.operator}{space}", self.value(node.right, level + 1))

    def _atom(self, node: ast.Expr) -> Doc:
        start = node.span.start
        match node:
            case ast.Number():
                doc = Text(node.text, start)
            case ast.String():
                doc = self.string(node)
            case ast.InHand():
                doc = Text(f"in.{node.attribute}", start)
            case ast.Call():
                doc = concat(self.name(node.name), self.arguments(node.name, node.arguments))
            case ast.List():
                doc = self.brackets("[", start, [self.value(i) for i in node.items], node.items)
            case ast.Comprehension():
                doc = self._comprehension(node)
            case ast.Name() | ast.Label():
                doc = self.name(node)
            case _:
                message = f"{type(node).__name__} is not an atom"
                raise AssertionError(message)
        return doc

    def _comprehension(self, node: ast.Comprehension) -> Doc:
        start = node.span.start
        source = concat("for ", self.names(node.names), " in ", self.value(node.iterable, _RANGE))
        test = [concat(Line(), "if ", self.value(node.test))] if node.test else []
        body = indent(Line(""), self.value(node.item), Line(), source, *test)
        closing = Text("]", self.places.closing(start))
        return group(concat(Text("[", start), body, Line(""), closing), broken=self._is_open(start))

    # --- brackets ---

    def arguments(self, name: ast.Name | ast.Label, nodes: Sequence[ast.Argument] | None) -> Doc:
        """Return the arguments of a call of `name`; empty for one without parentheses."""
        if nodes is None:
            return concat("")
        docs = [concat(*([self.name(n.name), " = "] if n.name else []), self.value(n.value)) for n in nodes]
        return self.brackets("(", self.places.find("(", name.span.end), docs, nodes)

    def declaration(self, node: ast.Declaration) -> Doc:
        """Return the declaration of a parameter of a spec or a block."""
        parts = [self.name(node.name)]
        if node.type:
            first, *others = [self.name(n) for n in node.type.names]
            is_nested = others and not node.type.is_choice
            kind = concat(first, "[", *others, "]") if is_nested else join(" | ", [first, *others])
            parts.append(concat(": ", kind))
        if node.default:
            parts.append(concat(" = ", self.value(node.default)))
        if node.where:
            parts.append(concat(" where ", self.value(node.where)))
        return concat(*parts)

    def brackets(self, opening: str, start: int, docs: Sequence[Doc], nodes: Sequence[ast.Syntax]) -> Doc:
        """Return items between brackets, one per line if the author broke the line after the opening bracket."""
        first = Text(opening, start)
        last = Text(")" if opening == "(" else "]", self.places.closing(start))
        if not docs:
            return concat(first, last)
        if self._shares(start, nodes):
            return concat(first, *docs, last)
        if all(isinstance(n, ast.Argument) or (_is_plain(n) and opening == "[") for n in nodes):
            spans = [n.span for n in nodes]
            rows = {i for i in range(1, len(nodes)) if self.places.is_broken(spans[i - 1].end, spans[i].start)}
            items = fill(docs, frozenset(rows), ",", "", 0)
        else:
            items = join(concat(",", Line()), docs)
        body = concat(first, indent(Line(""), items), Either("", ","), Line(""), last)
        return group(body, broken=self._is_open(start))

    def _is_open(self, start: int) -> bool:
        return self.places.is_broken_after(start) or self.places.comments(start, self.places.closing(start)) > 0

    def _shares(self, start: int, nodes: Sequence[ast.Syntax]) -> bool:
        """Return True if the only item has brackets that contain every comment, so that both pairs share lines."""
        item = nodes[0].value if isinstance(nodes[0], ast.Argument) else nodes[0]
        if len(nodes) > 1 or not isinstance(item, _BRACKETED):
            return False
        places = self.places
        return places.comments(start, places.closing(start)) == places.comments(item.span.start, item.span.end)


def _level(node: ast.Expr) -> int:
    match node:
        case ast.Binary():
            return _LEVELS.get(node.operator, _COMPARISON)
        case ast.Unary():
            return _NOT if node.operator == "not" else _UNARY
        case ast.Conditional():
            return _CONDITIONAL
        case ast.Range():
            return _RANGE
        case _:
            return _POSTFIX


def _is_plain(node: ast.Syntax) -> bool:
    operand = node.operand if isinstance(node, ast.Unary) else node
    return isinstance(operand, ast.Number | ast.Name | ast.String | ast.InHand)
