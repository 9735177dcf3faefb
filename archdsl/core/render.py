"""Diagnostics as text for a terminal: location, source line, carets under the fault, notes and help."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import combining, east_asian_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archdsl.core.diagnostics import Diagnostic, Note
    from archdsl.core.source import Source, Span

MAX_WIDTH = 160  # columns of a source line; of a longer line, the part around the fault is shown
BEFORE = 60  # columns shown to the left of a fault in a longer line
MAX_MESSAGE = 600
TAB = 4

_COLOURS = {
    "error": "\x1b[1;31m", "warning": "\x1b[1;33m", "note": "\x1b[1;32m", "help": "\x1b[1;36m", "gutter": "\x1b[1;34m",
    "bold": "\x1b[1m",
}  # fmt: skip
_RESET = "\x1b[0m"


def render_text(diagnostics: Iterable[Diagnostic], color: bool = False) -> str:
    """Return all diagnostics, separated by blank lines, and their counts."""
    kept = list(diagnostics)
    texts = ["\n".join(_Renderer(color).diagnostic(d)) for d in kept]
    return "\n\n".join([*texts, count_text(kept)]) + "\n" if texts else ""


def count_text(diagnostics: Sequence[Diagnostic]) -> str:
    """Return the counts by severity: `2 errors, 1 warning`."""
    errors = sum(d.is_error for d in diagnostics)
    counts = [(errors, "error"), (len(diagnostics) - errors, "warning")]
    return ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for n, word in counts if n)


def visible(text: str, limit: int = MAX_MESSAGE) -> str:
    """Return text with control and unprintable characters escaped, truncated to `limit` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(_shown(char) for char in cut)


def _shown(char: str) -> str:
    if char == "\t":
        return " " * TAB
    return char if char.isprintable() else f"<U+{ord(char):04X}>"


def _width(shown: str) -> int:
    """Return the columns of a displayed character on a terminal."""
    if len(shown) > 1:
        return len(shown)
    if combining(shown):
        return 0
    return 2 if east_asian_width(shown) in "WF" else 1


class _Marked(NamedTuple):
    """A source line as displayed, with the column and width of each mark; None for marks outside the shown part."""

    text: str
    marks: list[tuple[int, int] | None]


def _mark(line: str, marks: Sequence[tuple[int, int]]) -> _Marked:
    """Return the part of a line around its first mark; marks are ranges of characters."""
    first, last = _window(line, marks[0][0])
    shown = [_shown(char) for char in line[first:last]]
    lead = "…" if first else ""
    columns = list(accumulate((_width(s) for s in shown), initial=len(lead)))
    placed: list[tuple[int, int] | None] = []
    for start, end in marks:
        low, high = min(start, last) - first, min(end, last) - first
        placed.append((columns[low], max(1, columns[high] - columns[low])) if low >= 0 else None)
    return _Marked(lead + "".join(shown) + ("…" if last < len(line) else ""), placed)


def _window(line: str, at: int) -> tuple[int, int]:
    """Return the range of characters of a line to show, which includes the one at `at`."""
    if len(line) <= MAX_WIDTH and sum(_width(_shown(c)) for c in line) <= MAX_WIDTH:
        return 0, len(line)
    first, used = min(at, len(line)), 0
    while first > 0 and used < BEFORE:
        first -= 1
        used += _width(_shown(line[first]))
    last = first
    used = 0
    while last < len(line) and (used < MAX_WIDTH or last < at):
        used += _width(_shown(line[last]))
        last += 1
    return first, last


class _Renderer:
    def __init__(self, color: bool) -> None:
        self.color = color
        self.gutter = 2

    def paint(self, text: str, role: str) -> str:
        return f"{_COLOURS[role]}{text}{_RESET}" if self.color and text else text

    def diagnostic(self, diagnostic: Diagnostic) -> list[str]:
        notes = list(diagnostic.notes)
        self.gutter = max(len(str(_line_of(s))) for s in [diagnostic.span, *(n.span for n in notes if n.span)])
        beside = [n for n in notes if n.span is not None and _on_one_line(diagnostic.span, n.span)]
        kind = self.paint(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity)
        lines = [f"{kind}{self.paint(f': {diagnostic.title}', 'bold')}"]
        lines += self.excerpt(diagnostic.span, diagnostic.label, diagnostic.severity, beside)
        for note in notes:
            if note not in beside:
                lines += self.note(note)
        if diagnostic.help:
            lines.append(f"{self.paint('help', 'help')}: {visible(diagnostic.help)}")
        for replacement in diagnostic.replacements:
            lines += [self.bar(""), *(self.bar(visible(row)) for row in replacement.text.splitlines())]
        return lines

    def note(self, note: Note) -> list[str]:
        head = f"{self.paint('note', 'note')}: {visible(note.message)}"
        return [head, *self.excerpt(note.span, "", "note", [])] if note.span is not None else [head]

    def excerpt(self, span: Span, label: str, role: str, beside: Sequence[Note]) -> list[str]:
        """Return the lines for a location: source line, underline with label, and notes about the same line."""
        source, empty = span.source, self.bar("")
        arrow = " " * self.gutter + self.paint("--> ", "gutter")
        if not source.text.strip():
            remark = [f"{' ' * self.gutter} {self.paint('=', 'gutter')} {visible(label)}"] if label else []
            return [arrow + visible(source.name), *remark]
        number, column = source.position(span.start)
        marked = _mark(source.line(number), [_range(span), *(_range(n.span) for n in beside if n.span)])
        lines = [f"{arrow}{visible(source.name)}:{number}:{column}", empty, self.bar(marked.text, number)]
        lines.append(self.bar(self.underline(marked.marks[0] or (0, 1), "-" if role == "note" else "^", role, label)))
        for note, mark in zip(beside, marked.marks[1:], strict=True):
            lines.append(self.bar(self.underline(mark or (0, 1), "-", "note", note.message)))
        return lines

    def underline(self, mark: tuple[int, int], character: str, role: str, label: str) -> str:
        column, width = mark
        return " " * column + self.paint(f"{character * width} {visible(label)}".rstrip(), role)

    def bar(self, text: str, number: int | None = None) -> str:
        left = f"{number if number is not None else '':>{self.gutter}} |"
        return f"{self.paint(left, 'gutter')} {text}".rstrip()


def _line_of(span: Span) -> int:
    return span.source.position(span.start)[0]


def _on_one_line(first: Span, second: Span) -> bool:
    """Return True if two spans can share an excerpt: on the same line, if that is shown completely."""
    if first.source is not second.source or _line_of(first) != _line_of(second):
        return False
    line = _text(first.source, first)
    return _window(line, 0) == (0, len(line))


def _text(source: Source, span: Span) -> str:
    return source.line(_line_of(span))


def _range(span: Span) -> tuple[int, int]:
    """Return the range of characters, from 0, that a span covers on its first line, without trailing space."""
    line = _text(span.source, span)
    start = span.source.position(span.start)[1] - 1
    end = min(start + span.end - span.start, len(line))
    return start, max(start, start + len(line[start:end].rstrip()))
