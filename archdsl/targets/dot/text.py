"""Text of boxes: lines of spans, and tables of them, with their sizes and as HTML-like labels of Graphviz."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from archdsl.targets.dot.anchors import END
from archdsl.targets.dot.metrics import line_height, text_width
from archdsl.targets.dot.style import INK, markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROUNDING = 3  # of the widths of letters to pixels, in a cell
CELL_PADDING = 3  # around the text of a cell, with its border


class Span(NamedTuple):
    """Text of one size, weight and colour."""

    text: str
    size: float
    bold: bool = False
    colour: str = INK

    def width(self) -> float:
        """Return its width in points."""
        return text_width(self.text, self.size, bold=self.bold)

    def html(self) -> str:
        """Return it as part of an HTML-like label."""
        inner = f"<b>{markup(self.text)}</b>" if self.bold else markup(self.text)
        colour = "" if self.colour == INK else f' color="{self.colour}"'
        return f'<font point-size="{self.size:g}"{colour}>{inner}</font>'


Line = tuple[Span, ...]


def line_width(line: Line) -> float:
    """Return the width of a line in points."""
    return sum(s.width() for s in line)


def height_of(line: Line) -> float:
    """Return the height of a line in points."""
    return line_height(max(s.size for s in line))


def line_html(line: Line) -> str:
    """Return a line as part of an HTML-like label."""
    return "".join(s.html() for s in line)


def lines_size(lines: Iterable[Line]) -> tuple[float, float]:
    """Return the width and height of lines, one below the other, in points."""
    known = list(lines)
    return max(map(line_width, known), default=0.0), sum(map(height_of, known))


@dataclass(frozen=True)
class Text:
    """Centred lines, with margins around them."""

    lines: tuple[Line, ...]
    margin: tuple[float, float] = (0.0, 0.0)
    least: tuple[float, float] = (0.0, 0.0)  # width and height

    def size(self) -> tuple[float, float]:
        """Return the width and height in points."""
        width, height = lines_size(self.lines)
        return (
            max(self.least[0], width + 2 * self.margin[0]),
            max(self.least[1], height + 2 * self.margin[1]),
        )

    def html(self) -> str:
        """Return it as an HTML-like label."""
        return f"<{'<br/>'.join(line_html(line) + END for line in self.lines)}>" if self.lines else ""


@dataclass(frozen=True)
class Cell:
    """A row of a table: lines at the left, and figures at the right or, if `below`, under them."""

    lines: tuple[Line, ...]
    figures: Line = ()
    looks: str = ""  # attributes of its cells: fill, border
    below: bool = False
    head: bool = False  # the title of the table

    def columns(self) -> tuple[int, int]:
        """Return the widths in points of the text and of the figures at its right; 0 for none."""
        right = ceil(line_width(self.figures) + 2 * CELL_PADDING + ROUNDING) if self.figures and not self.below else 0
        below = line_width(self.figures) if self.figures and self.below else 0
        return ceil(max(lines_size(self.lines)[0], below) + 2 * CELL_PADDING + ROUNDING), right

    def height(self) -> int:
        """Return the height in points."""
        heights = [lines_size(self.lines)[1], height_of(self.figures) if self.figures else 0]
        return ceil((sum(heights) if self.below else max(heights)) + 2 * CELL_PADDING)


@dataclass(frozen=True)
class Table:
    """Cells, one below the other."""

    cells: tuple[Cell, ...]

    def columns(self) -> tuple[int, int]:
        """Return the widths of the two columns in points; text without figures beside it stands in both."""
        sizes = [cell.columns() for cell in self.cells]
        right = max(r for _, r in sizes)
        left = max(width if beside else width - right for width, beside in sizes)
        return left, right

    def size(self) -> tuple[float, float]:
        """Return the width and height in points."""
        return sum(self.columns()), sum(cell.height() for cell in self.cells)

    def row_centre(self, number: int) -> float:
        """Return the distance of the centre of a row from the top in points; a negative number counts from the end."""
        heights = [cell.height() for cell in self.cells]
        number %= len(heights)
        return sum(heights[:number]) + heights[number] / 2

    def html(self) -> str:
        """Return it as an HTML-like label of exactly this size."""
        rows = "".join(f"<tr>{_columns(cell, *self.columns())}</tr>" for cell in self.cells)
        return f'<<table border="0" cellborder="1" cellspacing="0" cellpadding="2">{rows}</table>>'


def _columns(cell: Cell, left: int, right: int) -> str:
    height = f'height="{cell.height()}"'
    lines = [f'{line_html(line)}<br align="left"/>' for line in cell.lines]
    text = "".join(lines) if len(lines) > 1 else "".join(map(line_html, cell.lines))
    if not cell.figures or cell.below:
        if cell.figures:
            text = "".join(lines) + f'{line_html(cell.figures)}<br align="right"/>'
        span = 'colspan="2" ' if right else ""
        return f'<td {span}{cell.looks} align="left" balign="left" width="{left + right}" {height}>{text}</td>'
    return (
        f'<td {cell.looks} sides="LTB" align="left" balign="left" width="{left}" {height}>{text}</td>'
        f'<td {cell.looks} sides="TRB" align="right" width="{right}" {height}>{line_html(cell.figures)}</td>'
    )


def broken(text: str, length: int, size: float, most: int = 6) -> tuple[Line, ...]:
    """Return text in at most `most` lines of about `length` characters, broken behind commas or else at spaces."""
    lines: list[str] = []
    for word in _pieces(text, length):
        if lines and len(lines[-1]) + len(word) <= length + 1:
            lines[-1] += word
        else:
            lines.append(word)
    _keep_numbers(lines, length)
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1].rstrip().rstrip(",") + ", …"]
    return tuple((Span(line.rstrip(), size),) for line in lines)


def _keep_numbers(lines: list[str], length: int) -> None:
    """Move the last word of a line down to a number that would stand alone: `conv` and `1×7×7, 64,`."""
    for number in range(1, len(lines)):
        before, space, word = lines[number - 1].rstrip().rpartition(" ")
        alone = lines[number].strip().rstrip(",").isdecimal()
        if alone and space and len(word) + 1 + len(lines[number]) <= length + 1:
            lines[number - 1 : number + 1] = [f"{before} ", f"{word} {lines[number]}"]


def _pieces(text: str, length: int) -> Sequence[str]:
    """Divide text behind commas, and what is longer than a line at spaces, then anywhere."""
    pieces: list[str] = []
    for part in _split(text, ", "):
        for word in [part] if len(part.rstrip()) <= length else _split(part, " "):
            pieces += [word[i : i + length] for i in range(0, len(word), length)] if len(word) > length + 1 else [word]
    return pieces


def _split(text: str, between: str) -> list[str]:
    parts = text.split(between)
    return [part + between for part in parts[:-1]] + parts[-1:]
