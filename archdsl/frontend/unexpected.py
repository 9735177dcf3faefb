"""A token that cannot stand where it does, and what stands around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lark import Token


@dataclass(eq=False)
class Unexpected:
    """A token that cannot stand where it does, with all tokens of the text."""

    token: Token
    accepted: set[str]  # the kinds of token that could
    tokens: Sequence[Token]
    position: int  # of the token among them
    opened: Sequence[Token]  # the brackets around it

    @property
    def before(self) -> Token | None:
        """The token before it."""
        return self.tokens[self.position - 1] if self.position else None

    @property
    def after(self) -> Token | None:
        """The token behind it."""
        return self.tokens[self.position + 1] if self.position + 1 < len(self.tokens) else None

    @property
    def line(self) -> Sequence[Token]:
        """The tokens of its line that stand before it."""
        start = self.position
        while start and self.tokens[start - 1].type != "_NL" and self.tokens[start - 1].line == self.token.line:
            start -= 1
        return self.tokens[start : self.position]

    @property
    def phrase(self) -> Sequence[Token]:
        """Those of them that stand behind the last brace."""
        braces = [i for i, t in enumerate(self.line) if t.type in ("LBRACE", "RBRACE")]
        return self.line[braces[-1] + 1 :] if braces else self.line

    @property
    def first(self) -> str:
        """The kind of the first token of its line."""
        return self.line[0].type if self.line else self.token.type

    @property
    def previous(self) -> str:
        """The kind of the token before it; empty at the beginning."""
        return self.before.type if self.before is not None else ""

    @property
    def adjoins(self) -> bool:
        """Tell whether nothing stands between it and the token before it."""
        return self.before is not None and self.before.end_pos == self.token.start_pos

    @property
    def in_chain(self) -> bool:
        """Tell whether a chain could go on here."""
        return "ARROW" in self.accepted
