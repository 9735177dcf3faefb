"""Tables as text, CSV, Markdown and HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Table:
    """A table of text; the last `numbers` columns hold numbers, which end below each other."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: int
    total: tuple[str, ...] | None = None  # the last row, which sums up the others

    @property
    def lines(self) -> tuple[tuple[str, ...], ...]:
        """The rows and the total."""
        return (*self.rows, self.total) if self.total is not None else self.rows


def aligned(rows: Sequence[Sequence[str]], numbers: int) -> list[str]:
    """A line for each row, with the columns below each other; the last `numbers` of them end together."""
    words = len(rows[0]) - numbers
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines: list[str] = []
    for row in rows:
        cells = [c.ljust(w) if i < words else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def as_text(table: Table) -> str:
    """Format a table for a terminal, with rules below its head and above its total."""
    lines = aligned([table.head, *table.lines], table.numbers)
    rule = "─" * max(map(len, lines))
    end = [rule, lines[-1]] if table.total is not None else []
    return "\n".join([lines[0], rule, *lines[1 : 1 + len(table.rows)], *end])


def as_markdown(table: Table) -> str:
    """Format a table as Markdown."""
    rule = ["---" if i < len(table.head) - table.numbers else "---:" for i in range(len(table.head))]
    rows = ([cell.replace("|", r"\|") for cell in row] for row in (table.head, rule, *table.lines))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """Format rows as CSV; None is an empty cell."""
    import csv
    import io

    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue().rstrip("\n")


def as_html(table: Table) -> str:
    """Format a table as HTML."""
    from html import escape

    def row(cells: Sequence[str], kind: str) -> str:
        words = len(cells) - table.numbers
        sides = ["left" if i < words else "right" for i in range(len(cells))]
        inside = [
            f'<{kind} style="text-align:{side}">{escape(c)}</{kind}>' for c, side in zip(cells, sides, strict=True)
        ]
        return f"<tr>{''.join(inside)}</tr>"

    total = [row(table.total, "th")] if table.total is not None else []
    rows = [row(cells, "td") for cells in table.rows]
    return "\n".join(
        ["<table>", f"<thead>{row(table.head, 'th')}</thead>", "<tbody>", *rows, *total, "</tbody></table>"]
    )
