"""Tables in LaTeX: a tabular of the package booktabs, in the largest type in which it fits a column or a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.table import Table

COLUMN, PAGE = 237.0, 345.0  # text widths in points: of IEEE's and CVPR's two columns, of LaTeX's article
BETWEEN = 8.0  # points between two columns
# Declarations of type sizes, and their width as a part of that of 10 pt.
SIZES = ((r"\small", 0.925), (r"\footnotesize", 0.85), (r"\scriptsize", 0.8))
_ESCAPED = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "×": r"$\times$", "–": "--", "−": "$-$", "·": r"$\cdot$",
    "²": "$^2$", "<": "$<$",
}  # fmt: skip
# Widths of Computer Modern in points at 10 pt, by groups of characters.
_WIDTHS = {
    "fijlrt .,:;!|": 3.3, "abcdeghknopqsuvxyz0123456789_-–": 5.1, "mw": 8.0, "()[]": 3.9, "²": 4.5, "%×+−<>=~": 8.0,
}  # fmt: skip
_OTHER = 7.5  # capitals


def as_latex(table: Table) -> str:
    """Format a table as a tabular of LaTeX's booktabs package."""
    words = len(table.head) - table.numbers
    columns = "l" * words + "r" * table.numbers
    head = [latex_text(cell) if i < words else _stacked(cell) for i, cell in enumerate(table.head)]
    rows = [f"  {' & '.join(row)} \\\\" for row in (head, *(map(latex_text, row) for row in table.lines))]
    total = [r"  \midrule", rows.pop()] if table.total is not None else []
    size, width = _size(table)
    fits = "a column" if width <= COLUMN else "a page" if width <= PAGE else "a wide page"
    return "\n".join(
        [
            rf"% needs \usepackage{{booktabs}}; about {width:.0f} pt wide, for {fits}",
            rf"{{{size}\setlength{{\tabcolsep}}{{{BETWEEN / 2:g}pt}}%",
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            *(r"  \toprule", rows[0], r"  \midrule", *rows[1:], *total, r"  \bottomrule"),
            r"\end{tabular}}",
        ]
    )


def _size(table: Table) -> tuple[str, float]:
    """Return the declaration of the type size, and the width of the table in points."""
    heads = [max(cell.split(" ("), key=_width) for cell in table.head]
    columns = zip(heads, *table.lines, strict=True)
    full = sum(max(map(_width, column)) for column in columns)
    between = BETWEEN * (len(table.head) - 1)
    widths = [(size, full * part + between) for size, part in SIZES]
    for most in (COLUMN, PAGE):
        for size, width in widths:
            if width <= most:
                return size, width
    return widths[-1]


def _width(text: str) -> float:
    return sum(next((w for group, w in _WIDTHS.items() if c in group), _OTHER) for c in text)


def _stacked(head: str) -> str:
    """Put the unit of a head below its words: the column is as wide as its numbers need."""
    words, bracket, unit = head.partition(" (")
    return rf"\shortstack[r]{{{latex_text(words)}\\({latex_text(unit)}}}" if bracket else latex_text(head)


def latex_text(text: str) -> str:
    """Escape text for LaTeX."""
    return re.sub(r"[\\{}_%&#$~^×–−·²<]", lambda match: _ESCAPED[match[0]], text)


def comments(notes: Sequence[str]) -> str:
    """Format notes as comments in ASCII, a line for each."""
    return "".join(f"% {note.replace('×', 'x')}\n" for note in notes)
