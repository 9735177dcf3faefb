"""Parsing that goes on behind the line of a fault, so that one run shows every line that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lark import Token, UnexpectedToken

from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.frontend.syntax_faults import (
    CLOSE,
    OPEN,
    STATEMENTS,
    diagnostic,
    not_closed,
    opened_brackets,
    span_of,
    unexpected,
)
from archdsl.frontend.unexpected import Unexpected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archdsl.core.source import Source

MAX_SYNTAX_ERRORS = 20
MAX_PENDING = 2_000  # parts of a text whose end the parser still waits for; it copies the list of them at each token


class TolerantParser:
    """Error recovery with Lark's interactive parser, which is rewound to a state in which a line can end.

    `words` gives the spelling of each terminal that has one alone; messages need it.
    """

    def __init__(
        self, source: Source, interactive: Any, tokens: Sequence[Token], words: Callable[[], dict[str, str]]
    ) -> None:
        self.source = source
        self.interactive = interactive
        self.tokens = tokens
        self.words = words
        self.faults: list[Diagnostic] = []
        self.balanced = sum((t.type in OPEN) - (t.type in CLOSE) for t in tokens) <= 0
        self.run: tuple[str, int] = "", 0  # the run of faults that the last one belongs to, and its line
        self.resumed = -1  # the token that parsing went on with after the last fault

    def tree(self) -> Any:
        """Return the parse tree.

        Raises:
            SpecError: with a fault of each line that is wrong.
        """
        state, tokens = self.interactive.parser_state, self.tokens
        position = 0
        while position < len(tokens) and len(self.faults) < MAX_SYNTAX_ERRORS:
            if len(state.state_stack) > MAX_PENDING:
                label = "too many parts inside each other"
                raise SpecError([diagnostic("E0702", span_of(self.source, tokens[position]), label)])
            stacks = state.state_stack[:], state.value_stack[:]
            try:
                self.interactive.feed_token(tokens[position])
                position += 1
            except UnexpectedToken as error:
                # the parser has reduced for a token that then did not fit; what fits is known before that
                state.state_stack, state.value_stack = stacks
                token: Token = error.token
                position = self.resumed = self._resume(token, position)
        if not self.faults:
            return self._end()
        raise SpecError(self.faults)

    def _resume(self, token: Token, position: int) -> int:
        """Report a token that does not fit, and return the place of the one to go on with."""
        if position == self.resumed:  # the line end fits a part of what is open, but not what that is a part of
            return self._retreat(position)
        before = self.tokens[position - 1] if position else None
        opened = opened_brackets(self.interactive.parser_state.value_stack)
        begins_line = before is not None and before.type == "_NL" and token.type in STATEMENTS
        if begins_line and opened and not self.balanced:
            self.faults.append(not_closed(self.source, opened[-1], token))
            return self._unwind(len(opened) - 1, position - 1)
        fault = Unexpected(self.source, token, self.interactive.accepts(), self.tokens, position, opened)
        found = unexpected(self.source, fault, self.words())
        line = token.line or 0
        if not (found.run and self.run == (found.run, line - 1)):
            self.faults.append(found.diagnostic)
        self.run = found.run, line
        return self._skip_line(position, len(opened), fault)

    def _skip_line(self, position: int, opened: int, fault: Unexpected) -> int:
        """Go on at the next line end that is not in brackets opened since a fault.

        Lines below one that ends in `:` or lacks its braces, and deeper than it, belong to it: they are skipped, too.
        """
        depth = opened
        tokens = self.tokens
        margin = (fault.line[0] if fault.line else fault.token).column or 1
        while position < len(tokens):
            token = tokens[position]
            if (
                token.type == "_NL"
                and depth <= opened
                and not (depth == opened and self._owns(position, fault, margin))
            ):
                break
            depth += (token.type in OPEN) - (token.type in CLOSE)
            position += 1
        return self._unwind(max(0, min(depth, opened)), position)

    def _owns(self, position: int, fault: Unexpected, margin: int) -> bool:
        """Return True if the line behind a line end belongs to the faulty line, as its indentation tells."""
        if position + 1 >= len(self.tokens) or (self.tokens[position + 1].column or 1) <= margin:
            return False
        ends = next((i for i in range(fault.position, len(self.tokens)) if self.tokens[i].type == "_NL"), position)
        line = [t.type for t in (*fault.line, *self.tokens[fault.position : ends])]
        is_stage = line[:1] == ["STAGE"] and "LBRACE" not in line
        return is_stage or ends == fault.position or self.tokens[ends - 1].type == "COLON"

    def _unwind(self, depth: int, position: int) -> int:
        """Bring the parser back to where a line can end inside of `depth` brackets, or go to the end of the text."""
        state = self.interactive.parser_state
        table = state.parse_conf.parse_table.states
        while state.state_stack:
            if len(opened_brackets(state.value_stack)) <= depth and "_NL" in table[state.state_stack[-1]]:
                return position
            state.state_stack.pop()
            if state.value_stack:
                state.value_stack.pop()
        return len(self.tokens)

    def _retreat(self, position: int) -> int:
        """Bring the parser back by at least one part, to where a line can end, or go to the end of the text."""
        state = self.interactive.parser_state
        depth = len(opened_brackets(state.value_stack))
        state.state_stack.pop()
        if state.value_stack:
            state.value_stack.pop()
        return self._unwind(depth, position)

    def _end(self) -> Any:
        """End the text, and return its tree. Raise SpecError if something is missing."""
        try:
            return self.interactive.feed_eof(self.tokens[-1] if self.tokens else None)
        except UnexpectedToken as error:
            token: Token = error.token
            raise SpecError([self._missing(token, self.interactive.accepts())]) from None

    def _missing(self, token: Token, accepted: set[str]) -> Diagnostic:
        opened = opened_brackets(self.tokens)
        if opened:
            return not_closed(self.source, opened[-1])
        written = [t for t in self.tokens if t.type != "_NL"]
        fault = Unexpected(self.source, token, accepted, written, len(written), [])
        return unexpected(self.source, fault, self.words()).diagnostic
