"""What the modules shall reach beside their peers, and how far they are; the page that shows it."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
DEVICES = {"cpu": "CPU", "cuda": "GPU"}


class Goal(NamedTuple):
    """What shall be reached: the geometric mean over models, and no model worse than its peer.

    Of time as peer / ours, of memory as ours / peer. An empty string means any.
    """

    figure: str
    device: str
    mode: str
    dtype: str
    compiled: bool | None
    shipped: float
    tuned: float

    @property
    def text(self) -> str:
        """The goal in words."""
        how = {None: "", True: "compiled", False: "eager"}[self.compiled]
        parts = (DEVICES[self.device], table.WORDS[self.mode], table.WORDS.get(self.dtype, ""), how)
        return f"{self.figure}: {', '.join(p for p in parts if p)}"

    def holds(self, row: table.Row) -> bool:
        """Whether a row counts."""
        wanted = (self.device, self.mode, self.dtype or row.dtype)
        same = (row.device, row.mode, row.dtype) == wanted
        return same and self.compiled in {None, row.compiled}


GOALS = (
    Goal("time", "cpu", "train", "f32", False, 1.5, 1.1),
    Goal("time", "cpu", "infer", "f32", False, 1.7, 1.2),
    Goal("time", "cuda", "train", "bf16", False, 1.8, 1.3),
    Goal("time", "cuda", "train", "bf16", True, 1.4, 1.15),
    Goal("memory", "cpu", "train", "", None, 0.75, 0.9),
    Goal("memory", "cuda", "train", "", None, 0.75, 0.9),
)


def by_model(goal: Goal, side: str, rows: Iterable[table.Row]) -> dict[str, float]:
    """The ratio of each model, over its peers and batches."""
    found: dict[str, list[float]] = {}
    for row in rows:
        value = row.time_ratio(side) if goal.figure == "time" else row.memory_ratio(side)
        if goal.holds(row) and value is not None:
            found.setdefault(row.model, []).append(value)
    return {model: statistics.geometric_mean(values) for model, values in found.items()}


def goal_lines(rows: Sequence[table.Row]) -> list[list[str]]:
    """Each goal against each kind of peer."""
    lines: list[list[str]] = []
    for goal in GOALS:
        for side, words, wanted in (("shipped", "as shipped", goal.shipped), ("tuned", "tuned", goal.tuned)):
            ratios = by_model(goal, side, rows)
            less = goal.figure == "memory"
            sign = "≤" if less else "≥"
            if not ratios:
                lines.append([goal.text, words, f"{sign} {wanted}", "–", "–", "not measured"])
                continue
            mean = statistics.geometric_mean(ratios.values())
            worst = (max if less else min)(ratios, key=lambda m: ratios[m])
            met = (mean <= wanted and ratios[worst] <= 1) if less else (mean >= wanted and ratios[worst] >= 1)
            shown = f"`{worst}`, {ratios[worst]:.2f}"
            lines.append([goal.text, words, f"{sign} {wanted}", f"{mean:.2f}", shown, "yes" if met else "no"])
    return lines


def goals_table(rows: Sequence[table.Row]) -> str:
    """The goals, and whether they are met."""
    return table.markdown(("goal", "peer", "mean", "reached", "worst model", "met"), goal_lines(rows))


def counted(rows: Iterable[table.Row]) -> list[table.Row]:
    """Return the rows that a goal of time is about, by goal, and the others of a GPU."""
    kept = list(rows)
    found = [row for goal in GOALS if goal.figure == "time" for row in kept if goal.holds(row)]
    return found + [row for row in kept if row.device == "cuda" and row not in found]


def rows_of(path: Path) -> list[table.Row]:
    """Return the rows of a file of speeds, and of that of a GPU beside it."""
    return [row for found in table.with_gpu(path) for row in table.read(found)]


def tables(rows: Sequence[table.Row]) -> dict[str, str]:
    """What the page shows of rows, by mark."""
    return {"speed": table.speed_tables(counted(rows)), "goals": goals_table(rows)} if rows else {"speed": ""}


def marked(text: str, mark: str, made: str) -> str:
    """A text with something else between two marks."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    before, rest = text.split(begin)
    return before + begin + made + end + rest.split(end)[1]


def write_page(page: Path = PAGE, /, **made: str) -> None:
    """Puts tables between the marks of docs/performance.md, or another page; SystemExit for one that is empty."""
    text = page.read_text("utf-8")
    for mark, content in made.items():
        if not content:
            raise SystemExit(f"nothing was measured for the table of {mark}: {page.name} stays as it is")
        text = marked(text, mark, content)
    page.write_text(text, "utf-8")
