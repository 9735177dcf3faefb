"""Pretty printer: documents with optional line breaks, laid out in lines of a maximum width, for specs and Python.

A document says where a line may break; `layout` decides. Everything is indented relative to the line of its opening
bracket, so that a closing bracket is aligned with the start of that line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

INDENT = 4
Kind = Literal["", "statement", "block", "close"]

# --- documents -------------------------------------------------------------------------------------------------------
# Plain classes: `dataclass` would cost start-up time for each.


class _Document:
    """A document; `breaks` if it cannot be on one line."""

    __slots__ = ("breaks",)
    breaks: bool

    def words(self, *, flat: bool) -> tuple[str, bool]:  # noqa: ARG002  as the documents with text need it
        """Return its own text, without that of its parts, and True if a line break may follow it."""
        return "", False

    def parts_reversed(self, *, flat: bool) -> list[tuple[bool, Doc]]:  # noqa: ARG002  as the documents with parts need it
        """Return its parts in reverse order, each with True if it is to be on one line."""
        return []


class Text(_Document):
    """Text; `at` is its position in the source, if known, `kind` the kind of a line that begins with it."""

    __slots__ = ("at", "kind", "text")

    def __init__(self, text: str, at: int = -1, kind: Kind = "") -> None:
        self.text, self.at, self.breaks = text, at, False
        self.kind: Kind = kind

    def words(self, *, flat: bool) -> tuple[str, bool]:  # noqa: ARG002  the same on one line and on several
        words, newline, _ = self.text.partition("\n")
        return words, bool(newline)


class Line(_Document):
    """A line break, or `flat` if the enclosing group is on one line."""

    __slots__ = ("flat",)

    def __init__(self, flat: str = " ", *, breaks: bool = False) -> None:
        self.flat, self.breaks = flat, breaks

    def words(self, *, flat: bool) -> tuple[str, bool]:
        return (self.flat, False) if flat and not self.breaks else ("", True)


class Concat(_Document):
    """A sequence of documents."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Doc, ...]) -> None:
        self.parts, self.breaks = parts, any(p.breaks for p in parts)

    def parts_reversed(self, *, flat: bool) -> list[tuple[bool, Doc]]:
        return [(flat, p) for p in reversed(self.parts)]


class Indent(_Document):
    """A document indented by one level."""

    __slots__ = ("body",)

    def __init__(self, body: Doc) -> None:
        self.body, self.breaks = body, body.breaks

    def parts_reversed(self, *, flat: bool) -> list[tuple[bool, Doc]]:
        return [(flat and not self.breaks, self.body)]


class Either(_Document):
    """Text that depends on the enclosing group: `flat` on one line, `broken` on several."""

    __slots__ = ("broken", "flat")

    def __init__(self, flat: str, broken: str) -> None:
        self.flat, self.broken, self.breaks = flat, broken, False

    def words(self, *, flat: bool) -> tuple[str, bool]:
        return (self.flat if flat else self.broken), False


class Group(_Document):
    """A document that stays on one line if it fits, unless it `breaks`."""

    __slots__ = ("body",)

    def __init__(self, body: Doc, *, breaks: bool) -> None:
        self.body, self.breaks = body, breaks

    def parts_reversed(self, *, flat: bool) -> list[tuple[bool, Doc]]:
        return [(flat and not self.breaks, self.body)]


class Fill(_Document):
    """As many items per line as fit; a break, between `before` and `after`, always precedes the items in `forced`."""

    __slots__ = ("after", "before", "extra", "forced", "items")

    def __init__(self, items: tuple[Doc, ...], forced: frozenset[int], before: str, after: str, extra: int) -> None:
        self.items, self.forced, self.before, self.after, self.extra = items, forced, before, after, extra
        self.breaks = any(i.breaks for i in items)

    def separated(self) -> list[Doc]:
        """Return the items with the separators between them."""
        return [p for i, item in enumerate(self.items) for p in ((_Separator(self, i), item) if i else (item,))]

    def parts_reversed(self, *, flat: bool) -> list[tuple[bool, Doc]]:
        return [(flat, p) for p in reversed(self.separated())]


class Rows(_Document):
    """One row per line if each of them fits, otherwise `otherwise`."""

    __slots__ = ("otherwise", "rows")

    def __init__(self, rows: tuple[Doc, ...], otherwise: Doc) -> None:
        self.rows, self.otherwise, self.breaks = rows, otherwise, True

    def parts_reversed(self, *, flat: bool) -> list[tuple[bool, Doc]]:
        return [(flat, self.otherwise)]


class Choice(_Document):
    """`first` if its text up to the first break fits on the line, otherwise `otherwise`."""

    __slots__ = ("first", "otherwise")

    def __init__(self, first: Doc, otherwise: Doc) -> None:
        self.first, self.otherwise, self.breaks = first, otherwise, first.breaks

    def parts_reversed(self, *, flat: bool) -> list[tuple[bool, Doc]]:
        return [(flat, self.otherwise)]


class _Separator(_Document):
    """The separator before an item of a `Fill`."""

    __slots__ = ("fill", "item")

    def __init__(self, fill: Fill, item: int) -> None:
        self.fill, self.item, self.breaks = fill, item, False

    def words(self, *, flat: bool) -> tuple[str, bool]:
        return (f"{self.fill.before} {self.fill.after}", False) if flat else (self.fill.before, True)


Doc = Text | Line | Concat | Indent | Either | Group | Fill | Rows | Choice | _Separator
HARD = Line(breaks=True)


def concat(*parts: Doc | str) -> Doc:
    """Concatenate documents."""
    docs = tuple(Text(p) if isinstance(p, str) else p for p in parts)
    return docs[0] if len(docs) == 1 else Concat(docs)


def join(separator: Doc | str, parts: Sequence[Doc]) -> Doc:
    """Join documents with a separator."""
    return concat(*[d for i, part in enumerate(parts) for d in ((separator, part) if i else (part,))])


def indent(*parts: Doc | str) -> Doc:
    """Indent documents by one level."""
    return Indent(concat(*parts))


def group(body: Doc, *, broken: bool) -> Doc:
    """Return a document that stays on one line if it fits, unless it is `broken`."""
    return Group(body, breaks=broken or body.breaks)


def fill(items: Sequence[Doc], forced: frozenset[int], before: str, after: str, extra: int) -> Doc:
    """Return a document of items that fill lines; lines after the first are indented by `extra` columns."""
    return Fill(tuple(items), forced, before, after, extra)


# --- lines -----------------------------------------------------------------------------------------------------------


class Row:
    """A line of the result; its first and last known positions in the source determine its comments."""

    __slots__ = ("first", "indent", "kind", "last", "text")

    def __init__(self, indent: int) -> None:
        self.indent = indent
        self.text = ""
        self.first = self.last = -1
        self.kind: Kind = ""

    @property
    def width(self) -> int:
        _, newline, tail = self.text.rpartition("\n")
        return len(tail) + (0 if newline else self.indent)


_Command = tuple[int, bool, Doc]  # indentation, flat, document


class _Writer:
    def __init__(self, width: int, indentation: int) -> None:
        self.width = width
        self.rows = [Row(indentation)]

    @property
    def row(self) -> Row:
        return self.rows[-1]

    @property
    def room(self) -> int:
        """Remaining columns of the line."""
        return self.width - self.row.width

    def text(self, text: str, at: int = -1, kind: Kind = "") -> None:
        if kind and not self.row.text:
            self.row.kind = kind
        self.row.text += text
        if at >= 0:
            self.row.first = at if self.row.first < 0 else self.row.first
            self.row.last = max(self.row.last, at)

    def newline(self, indentation: int) -> None:
        self.rows.append(Row(indentation))

    def written(self) -> list[Row]:
        """Return the lines that are not empty."""
        return [r for r in self.rows if r.text]


def layout(doc: Doc, width: int, indentation: int = 0) -> list[Row]:
    """Return the lines of a document, each of at most `width` columns where its breaks allow."""
    out = _Writer(width, indentation)
    stack: list[_Command] = [(indentation, False, doc)]
    while stack:
        at, flat, doc = stack.pop()
        match doc:
            case Text():
                out.text(doc.text, doc.at, doc.kind)
            case Line() | Either():
                _write(out, doc, at, flat=flat)
            case _Separator():
                _separate(out, doc, (at, flat), stack)
            case Group():
                flat = flat or (not doc.breaks and _fits(out.room, doc, stack))
                stack.append((out.row.indent, flat, doc.body))
            case Rows() | Choice():
                stack.append((out.row.indent, flat, _chosen(doc, out, stack)))
            case _:
                stack.extend(_opened(doc, (at, flat), out.row))
    return out.written()


def _opened(doc: Concat | Indent | Fill, mode: tuple[int, bool], row: Row) -> list[_Command]:
    """Return the commands for the parts of a document, in reverse order."""
    at, flat = mode
    match doc:
        case Concat():
            return [(at, flat, p) for p in reversed(doc.parts)]
        case Indent():
            return [(at + INDENT, flat, doc.body)]
        case Fill():
            return [(row.indent + doc.extra, flat, p) for p in reversed(doc.separated())]


def _write(out: _Writer, doc: Line | Either, at: int, *, flat: bool) -> None:
    if isinstance(doc, Line) and (doc.breaks or not flat):
        out.newline(at)
    else:
        out.text(doc.flat if flat or isinstance(doc, Line) else doc.broken)


def _separate(out: _Writer, doc: _Separator, mode: tuple[int, bool], stack: list[_Command]) -> None:
    fill, (at, flat) = doc.fill, mode
    out.text(fill.before)
    room = out.room - 1 - len(fill.after)
    ahead = doc.item in fill.forced or not _fits(room, fill.items[doc.item], stack, len(stack) - 1)
    if flat or not ahead:
        out.text(" " + fill.after)
    else:
        out.newline(at)
        out.text(fill.after)


def _chosen(doc: Rows | Choice, out: _Writer, stack: list[_Command]) -> Doc:
    """Return the alternative of a document that fits the line, together with the text after it."""
    if isinstance(doc, Choice):
        fits = any(_fits(out.room, doc.first, stack, flat=flat) for flat in (True, False))
        return doc.first if fits else doc.otherwise
    rooms = [out.room, *[out.width - out.row.indent] * (len(doc.rows) - 1)]
    rests: list[list[_Command]] = [*[[]] * (len(doc.rows) - 1), stack]
    if not all(_fits(room, r, rest) for room, r, rest in zip(rooms, doc.rows, rests, strict=True)):
        return doc.otherwise
    return join(HARD, [Group(r, breaks=False) for r in doc.rows])


def flat(doc: Doc) -> str:
    """Return the text of a document on one line, whatever its width."""
    words: list[str] = []
    todo = [doc]
    while todo:
        doc = todo.pop()
        if isinstance(doc, Concat):
            todo.extend(reversed(doc.parts))
        else:
            words.append(doc.words(flat=True)[0])
            todo.extend([part for _, part in doc.parts_reversed(flat=True)])
    return "".join(words)


def _fits(room: int, doc: Doc, rest: list[_Command], left: int | None = None, *, flat: bool = True) -> bool:
    """Return True if a document on one line, with the text up to the next possible break, fits `room` columns.

    The text after it is that of the last commands of `rest`, or the last before `left`.
    """
    left = len(rest) if left is None else left
    todo: list[tuple[bool, Doc]] = [(flat, doc)]
    while room >= 0 and (todo or left):
        if not todo:
            left -= 1
            todo.append(rest[left][1:])
        flat, doc = todo.pop()
        words, ends = doc.words(flat=flat)
        room -= len(words)
        if ends:
            break
        todo.extend(doc.parts_reversed(flat=flat))
    return room >= 0
