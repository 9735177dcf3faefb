"""Parsing of texts without faults: Lark's tables, without states to return to and with places of statements alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lark import Token, Tree
from lark.parse_tree_builder import ParseTreeBuilder
from lark.parsers.lalr_analysis import Shift

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Place = tuple[int, int] | None  # from the first to the last character; None of what takes none


class _Rule(NamedTuple):
    """The step of the parser at the end of a rule."""

    size: int  # of its expansion
    name: str
    make: Callable[[list[Any]], Any]
    is_kept: bool  # in the tree; what begins with `_` is part of what it stands in
    passes: bool  # its one part on as it is


class QuickParser:
    """LALR(1) parser over the tables of a Lark parser; it gives the same trees in less time, and finds no faults."""

    def __init__(self, lark: Any, most: int) -> None:
        self._lark = lark
        self._most = most  # parts of a text whose end the parser still waits for
        builder: Any = ParseTreeBuilder(lark.rules, Tree, maybe_placeholders=lark.options.maybe_placeholders)
        self._makers: dict[Any, Callable[[list[Any]], Any]] = builder.create_callback()
        self._rules: dict[int, _Rule] = {}  # by the identity of Lark's rule, which the tables keep
        self._tables: dict[str, Any] = {}

    def tree(self, start: str, tokens: Sequence[Token]) -> Any:
        """Return the parse tree of tokens; None if there is a fault in them."""
        table = self._tables.get(start)
        if table is None:
            table = self._tables[start] = self._lark.parse_interactive(start=start).parser_state.parse_conf
        try:
            return self._parsed(table, [*tokens, Token("$END", "")])
        except KeyError:  # a token that the table does not know in a state
            return None

    def _parsed(self, table: Any, tokens: Sequence[Token]) -> Any:
        states, stack = table.states, [table.start_state]
        values: list[Any] = []
        places: list[Place] = []
        for token in tokens:
            if len(stack) > self._most:
                return None
            action, target = states[stack[-1]][token.type]
            while action is not Shift:
                rule = self._rules.get(id(target)) or self._rule(target)
                if not rule.passes:
                    first = len(values) - rule.size
                    value = rule.make(values[first:])
                    place = _place(value, places[first:], is_kept=rule.is_kept)
                    del values[first:], places[first:]
                    values.append(value)
                    places.append(place)
                del stack[len(stack) - rule.size :]
                stack.append(states[stack[-1]][rule.name][1])
                if stack[-1] == table.end_state and token.type == "$END":
                    return values[-1]
                action, target = states[stack[-1]][token.type]
            stack.append(target)
            values.append(token)
            places.append((token.start_pos or 0, token.end_pos or 0))
        return None

    def _rule(self, rule: Any) -> _Rule:
        name, parts, options = rule.origin.name, rule.expansion, rule.options
        passes = len(parts) == 1 and not parts[0].is_term and not parts[0].name.startswith("_")
        passes = passes and options.expand1 and not rule.alias and not any(options.empty_indices)
        made = _Rule(len(parts), name, self._makers[rule], not name.startswith("_"), passes)
        self._rules[id(rule)] = made
        return made


def _place(value: Any, parts: Sequence[Place], *, is_kept: bool) -> Place:
    """Return the place of a value from those of its parts; a tree that is kept, and new, notes it."""
    if isinstance(value, Token):
        return value.start_pos or 0, value.end_pos or 0
    there = [p for p in parts if p is not None]
    if not there:
        return None
    place = there[0][0], there[-1][1]
    if is_kept and value.meta.empty:
        meta = value.meta
        meta.start_pos, meta.end_pos, meta.empty = *place, False
    return place
