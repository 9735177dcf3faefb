"""The author's line ends, blank lines and comments, which a syntax tree does not hold."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.core.layout import INDENT
from archdsl.frontend.labels import with_labels
from archdsl.frontend.parse import parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lark import Token

    from archdsl.core.layout import Row
    from archdsl.core.source import Source
    from archdsl.frontend.ast import Comment

_CLOSERS = ("}", ")", "]")
_SPACE = 2  # before a comment behind a statement


class Places:
    """The brackets and line ends of a source. A tree that was made without a text has none of them."""

    def __init__(self, source: Source, comments: Sequence[Comment]) -> None:
        lexer: Any = parser()
        tokens: list[Token] = [t for t in with_labels(lexer.lex(source.text)) if t.type != "_NL"]
        self._text = source.text
        self._starts = [t.start_pos or 0 for t in tokens]
        self._kinds = [str(t) for t in tokens]
        self._comments = [c.span.start for c in comments]
        self._closing: dict[int, int] = {}
        opened: list[int] = []
        for start, kind in zip(self._starts, self._kinds, strict=True):
            if kind in {"(", "[", "{"}:
                opened.append(start)
            elif kind in _CLOSERS and opened:
                self._closing[opened.pop()] = start

    def find(self, token: str, after: int) -> int:
        """Return the place of the next such token; -1 if there is none."""
        for i in range(bisect_left(self._starts, after), len(self._starts)):
            if self._kinds[i] == token:
                return self._starts[i]
        return -1

    def next(self, at: int) -> int:
        """Return the place of the token behind the one at `at`; -1 behind the last."""
        i = bisect_left(self._starts, at + 1)
        return self._starts[i] if i < len(self._starts) else -1

    def closing(self, bracket: int) -> int:
        """Return the place of the bracket that closes this one; -1 if it is not in the text."""
        return self._closing.get(bracket, -1)

    def is_broken(self, start: int, end: int) -> bool:
        """Return whether the author ended a line between two places."""
        return 0 <= start < end and "\n" in self._text[start:end]

    def is_broken_after(self, at: int) -> bool:
        """Return whether the author ended the line behind the token at `at`."""
        return at >= 0 and self.is_broken(at, self.next(at))

    def comments(self, start: int, end: int) -> int:
        """Return the number of comments between two places."""
        return max(0, bisect_left(self._comments, end) - bisect_left(self._comments, max(start, 0)))


@dataclass
class _Entry:
    """A line of the result: of the tree, or a comment of its own."""

    indent: int
    text: str
    place: int  # in the source, for the blank line above it
    blank: bool = False
    is_moved: bool = False  # a comment from inside the line below it
    opens: bool = False
    comment: str = ""
    column: int = -1
    width: int = 0


def weave(rows: Sequence[Row], comments: Sequence[Comment], source: Source) -> str:
    """Return the lines of a tree with its comments and blank lines."""
    own, behind = _placed(rows, comments, source)
    entries: list[_Entry] = []
    after_block = False
    for i, new in enumerate(own):
        row = rows[i] if i < len(rows) else None
        is_outer = row is None or (row.indent == 0 and row.kind in {"statement", "block"})
        for entry in new:
            entry.indent = _comment_indent(row)
        if row is not None:
            new.append(_of_row(row, behind.get(i), source))
        _space(new, row, source)
        if new:
            new[0].blank |= after_block and is_outer
            new[0].blank &= bool(entries) and not entries[-1].opens
        entries.extend(new)
        if row is not None and is_outer:
            after_block = row.kind == "block"
    _align(entries)
    return "".join(_shown(e) for e in entries)


def _placed(
    rows: Sequence[Row], comments: Sequence[Comment], source: Source
) -> tuple[list[list[_Entry]], dict[int, Comment]]:
    """Return the comments on lines of their own, above each row and behind the last, and those behind a row."""
    own: list[list[_Entry]] = [[] for _ in range(len(rows) + 1)]
    behind: dict[int, Comment] = {}
    firsts = [r.first for r in rows]
    for comment in comments:
        at = comment.span.start
        row = bisect_left(firsts, at) - 1
        if row >= 0 and rows[row].last > at:  # between words that now stand on one line
            own[row].append(_Entry(0, comment.text, rows[row].first, is_moved=True))
        elif row >= 0 and row not in behind and not own[row + 1] and _is_behind(source, at):
            behind[row] = comment
        else:
            own[row + 1].append(_Entry(0, comment.text, at))
    return own, behind


def _is_behind(source: Source, at: int) -> bool:
    return bool(source.text[source.text.rfind("\n", 0, at) + 1 : at].strip())


def _blank_above(source: Source, at: int) -> bool:
    number, _ = source.position(max(at, 0))
    return number > 1 and not source.line(number - 1).strip()


def _comment_indent(row: Row | None) -> int:
    if row is None:
        return 0
    return row.indent + (INDENT if row.text.startswith(_CLOSERS) else 0)


def _of_row(row: Row, comment: Comment | None, source: Source) -> _Entry:
    entry = _Entry(row.indent, row.text, row.first, opens=row.text.endswith("{"), width=row.width)
    if comment is not None:
        entry.comment = comment.text
        entry.column = source.position(comment.span.start)[1]
    return entry


def _space(new: list[_Entry], row: Row | None, source: Source) -> None:
    """Keep the author's blank lines between statements; have one above a block and the comments attached to it."""
    if row is not None and row.kind == "":
        return
    for i, entry in enumerate(new):
        is_under_moved = i > 0 and new[i - 1].is_moved
        entry.blank = not is_under_moved and _blank_above(source, entry.place)
    if row is not None and row.kind == "close":
        new[-1].blank = False
    if row is not None and row.kind == "block":
        first = len(new) - 1
        while first and not new[first].blank:
            first -= 1
        new[first].blank = True


def _align(entries: list[_Entry]) -> None:
    """Turn the columns of comments into those of the result: one for neighbours that were aligned in the source."""
    runs: list[list[_Entry]] = []
    previous: _Entry | None = None
    for entry in entries:
        if entry.column >= 0:
            if previous is not None and previous.column == entry.column and not entry.blank:
                runs[-1].append(entry)
            else:
                runs.append([entry])
        previous = entry
    for run in runs:
        column = max(e.width for e in run) + _SPACE
        for entry in run:
            entry.column = column


def _shown(entry: _Entry) -> str:
    text = " " * entry.indent + entry.text
    if entry.comment:
        text += " " * (entry.column - entry.width) + entry.comment
    return ("\n" if entry.blank else "") + text + "\n"
