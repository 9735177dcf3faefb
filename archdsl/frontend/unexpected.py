"""A token that cannot stand where it does, and what stands around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lark import Token

    from archdsl.core.source import Source

MAX_BELOW = 40  # lines
OTHER_LANGUAGE, NO_COMMA = "E0108", "E0109"


@dataclass(frozen=True)
class Cure:
    """The message and hint for a habit of another language."""

    hint: str
    label: str = ""  # replaces the list of expected tokens
    code: str = OTHER_LANGUAGE
    part: tuple[int, int] | None = None  # the characters to point at, if more than the token
    run: str = ""  # of faults of this name in lines that follow each other, the first is reported


@dataclass(eq=False)
class Unexpected:
    """A token that cannot stand where it does, with all tokens of the text."""

    source: Source
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

    @property
    def line_start(self) -> int:
        """The character at which its line begins, behind the indentation."""
        first = self.line[0] if self.line else self.token
        return first.start_pos or 0

    @property
    def line_text(self) -> str:
        """The text of its line, without indentation and comment."""
        start = self.line_start
        end = self.source.text.find("\n", start)
        text = self.source.text[start : end if end >= 0 else None]
        return re.sub(r"""\s*#[^"']*$""", "", text).rstrip()

    @property
    def rest(self) -> str:
        """The text of its line from the token on."""
        return self.line_text[(self.token.start_pos or 0) - self.line_start :]

    @property
    def below(self) -> list[str]:
        """The lines that follow and are indented deeper, without indentation."""
        start = self.source.text.rfind("\n", 0, self.line_start) + 1
        indent = self.line_start - start
        found: list[str] = []
        for line in self.source.text[start:].split("\n")[1 : 1 + MAX_BELOW]:
            if line.strip() and len(line) - len(line.lstrip()) <= indent:
                break
            found.append(line.strip())
        return [line for line in found if line]

    def inside(self, depth: int = -1) -> tuple[int, int]:
        """Return the characters of a bracket that is open around the token, up to where it closes."""
        start = self.opened[depth].start_pos or 0
        return start, closing(self.source.text, start)


def closing(text: str, start: int) -> int:
    """Return the end of a bracket that opens at `start`: behind its partner, or at the end of the text."""
    depth = 0
    for match in re.compile(r"""[()\[\]{}]|"[^"\n]*"|#[^\n]*""").finditer(text, start):
        depth += (match[0] in "([{") - (match[0] in ")]}")
        if depth == 0:
            return match.end()
    return len(text)
