"""What was measured, as rows of a CSV file, and the tables that are made of them."""

from __future__ import annotations

import csv
import statistics
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SIDES = ("ours", "shipped", "tuned")
WORDS = {"train": "training step", "infer": "inference", "f32": "float32", "bf16": "bf16"}


@dataclass(frozen=True)
class Row:
    """One model beside one peer in one setting: seconds and MiB; a ratio of times is peer / ours."""

    device: str
    model: str
    clip: str
    peer: str  # "" where there is none
    mode: str
    dtype: str
    batch: int
    compiled: bool
    ours: float
    ours_spread: float
    shipped: float | None = None
    shipped_spread: float | None = None
    tuned: float | None = None
    tuned_spread: float | None = None
    shipped_ratio: float | None = None
    tuned_ratio: float | None = None
    ours_mib: float | None = None
    shipped_mib: float | None = None
    tuned_mib: float | None = None
    difference: float | None = None  # of the outputs, of the largest
    runs: int = 0
    machine: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What a later measurement replaces."""
        return tuple(getattr(self, f.name) for f in fields(self)[:8])

    def time_ratio(self, side: str) -> float | None:
        """The peer's time by ours; tuned, it is as quick as it gets, with settings that slow it down left alone."""
        if side == "shipped" or self.tuned_ratio is None or self.shipped_ratio is None:
            return self.shipped_ratio
        return min(self.shipped_ratio, self.tuned_ratio)

    def memory_ratio(self, side: str) -> float | None:
        """Our memory by the peer's; tuned, by the less that it needs."""
        if self.ours_mib is None or self.shipped_mib is None:
            return None
        least = (
            self.shipped_mib if side == "shipped" or self.tuned_mib is None else min(self.shipped_mib, self.tuned_mib)
        )
        return self.ours_mib / least


def spread(values: Sequence[float]) -> float:
    """Half of the range between the quartiles."""
    if len(values) < 2:
        return 0.0
    quarters = statistics.quantiles(values, n=4, method="inclusive")
    return (quarters[2] - quarters[0]) / 2


def ratio(peer: Sequence[float], ours: Sequence[float]) -> float:
    """The median of the rounds' ratios, so that a change of the machine's pace between rounds does not count."""
    return statistics.median(p / o for p, o in zip(peer, ours, strict=True))


# --- the file ---


def cell(value: object) -> str:
    """A value as it is written."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def parsed(name: str, text: str) -> object:
    """A value as it is read."""
    kind = next(f.type for f in fields(Row) if f.name == name)
    if kind == "bool":
        return text == "yes"
    if "float" in str(kind):
        return float(text) if text else None
    return int(text) if kind == "int" else text


def read(path: Path) -> list[Row]:
    """Return the rows of a file of speeds that were measured, none if there is no file."""
    known = {f.name for f in fields(Row)}
    lines = [line for line in read_lines(path) if line["ours"]]
    return [Row(**{k: parsed(k, str(v)) for k, v in line.items() if k in known}) for line in lines]  # pyright: ignore[reportArgumentType]


def merged(old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """The old rows, those measured again replaced where they stand, and the new ones behind them."""
    found = {row.key: row for row in old}
    found.update({row.key: row for row in new})
    return list(found.values())


def read_lines(path: Path) -> list[dict[str, object]]:
    """The lines of a CSV file; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [dict(line) for line in csv.DictReader(file)]


def with_gpu(path: Path) -> list[Path]:
    """Return a file of results and the one of a GPU beside it, `gpu_NAME.csv`."""
    return [path, path.with_name(f"gpu_{path.name}")]


def shown_lines(path: Path) -> list[dict[str, object]]:
    """Return the lines of a file of results and of that of a GPU which have figures."""
    lines = [line for found in with_gpu(path) for line in read_lines(found)]
    return [line for line in lines if line.get("status", "measured") in {"measured", "alone"}]


def write_lines(path: Path, lines: Sequence[dict[str, object]]) -> None:
    """Writes a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: cell(value) for name, value in line.items()} for line in lines)


def write(path: Path, rows: Iterable[Row]) -> None:
    """Writes the rows."""
    write_lines(path, [asdict(row) for row in rows])


# --- Markdown ---


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""
    rule = "|" + "---|" * len(head)
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)]) + "\n"


def seconds(value: float | None, half: float | None) -> str:
    """A median and its spread; milliseconds where it is short."""
    if value is None or half is None:
        return "–"
    return f"{value:.3f} ± {half:.3f} s" if value >= 0.1 else f"{value * 1000:.2f} ± {half * 1000:.2f} ms"


def number(value: float | None, pattern: str) -> str:
    """A number that may be missing."""
    return "–" if value is None else format(value, pattern)


HEAD = ("model", "peer", "clip", "batch", "ours", "as shipped", "tuned", "as shipped / ours", "tuned / ours")
MEMORY = ("MiB ours", "as shipped", "tuned")


def line(row: Row, *, memory: bool) -> list[str]:
    """One line of a table."""
    cells = [f"`{row.model}`", row.peer or "–", row.clip.replace("x", "×"), str(row.batch)]
    cells += [seconds(getattr(row, side), getattr(row, f"{side}_spread")) for side in SIDES]
    cells += [number(row.shipped_ratio, ".2f"), number(row.tuned_ratio, ".2f")]
    return cells + ([number(getattr(row, f"{side}_mib"), ".0f") for side in SIDES] if memory else [])


def speed_tables(rows: Sequence[Row]) -> str:
    """A table for each machine and setting, in the order in which they are met."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        how = "compiled" if row.compiled else "eager"
        groups.setdefault((row.machine, WORDS[row.mode], WORDS[row.dtype], how), []).append(row)
    parts: list[str] = []
    for (machine, *setting), members in groups.items():
        memory = any(row.ours_mib is not None for row in members)
        table = markdown(HEAD + (MEMORY if memory else ()), (line(row, memory=memory) for row in members))
        parts.append(f"{machine}: {', '.join(setting)}.\n\n{table}")
    return "\n".join(parts)


def by_machine(head: Sequence[str], cells: Iterable[tuple[str, list[str]]]) -> str:
    """A table for each machine, of rows that come with the words for theirs."""
    machines: dict[str, list[list[str]]] = {}
    for machine, row in cells:
        machines.setdefault(machine, []).append(row)
    return "\n".join(f"{machine}.\n\n{markdown(head, rows)}" for machine, rows in machines.items())
