"""CSV files that grow row by row, and tell the next start what is left to measure. Needs nothing but Python."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

SPEED_KEY = ("device", "model", "clip", "peer", "mode", "dtype", "batch", "compiled")
SPEED = (
    "ours", "ours_spread", "shipped", "shipped_spread", "tuned", "tuned_spread", "shipped_ratio", "tuned_ratio",
    "ours_mib", "shipped_mib", "tuned_mib", "difference", "runs",
)  # fmt: skip
# Of each file: what a row is about, and what is measured.
COLUMNS = {
    "correctness": (("device", "record", "spec", "check"), ("difference", "tolerance", "holds")),
    "speed": (SPEED_KEY, SPEED),
    "memory": (
        ("device", "model", "clip", "batch", "dtype", "checkpointing", "optimizer"),
        ("predicted", "measured", "ratio"),
    ),
    "passes": (("device", "model", "mode", "dtype", "batch", "pass"), ("clip", "seconds", "gain", "runs")),
    "alternatives": (("device", "what", "form", "beside", "dtype"), ("forward", "backward")),
    "training": (
        ("device", "model", "clip", "dtype", "batch", "compiled"),
        ("clips_per_second", "memory_mib", "tflops", "peak_tflops", "share_of_peak", "runs"),
    ),
}
STATUS = ("status", "note", "row_seconds", "machine")
MEASURED, ALONE, FAILED, SKIPPED = "measured", "alone", "failed", "skipped"
LONGEST = 300  # characters of a note
MANIFEST = "manifest.json"  # of a prepared folder

Row = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """The end of a row: `status`, figures by column, a note, and the seconds that it took."""

    status: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    note: str = ""
    seconds: float = 0.0


def file_of(out: Path, step: str) -> Path:
    """Return the CSV file of a step."""
    return out / f"gpu_{step}.csv"


def columns(step: str) -> list[str]:
    """Return the columns of a step's file."""
    key, values = COLUMNS[step]
    return [*key, *values, *STATUS]


def lines_of(out: Path, step: str) -> list[dict[str, str]]:
    """Return the lines of a step's file, the last of each key, without a line that was cut off.

    Raises:
        SystemExit: if the file has other columns.
    """
    path = file_of(out, step)
    if not path.exists():
        return []
    text = path.read_text("utf-8")
    whole = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(whole.splitlines())
    if reader.fieldnames is not None and list(reader.fieldnames) != columns(step):
        raise SystemExit(f"{path}: its columns are not those of this version; name another folder with --out")
    key = (*COLUMNS[step][0], "machine")
    return list({tuple(line[k] for k in key): line for line in reader}.values())


class Journal:
    """The results of one folder.

    Args:
        out: where the files are.
        machine: the device and the version of torch; rows of another machine stay, and are measured on this one too.
        again: statuses of rows to measure again, besides those that were skipped.
    """

    def __init__(self, out: Path, machine: str, again: Collection[str] = ()) -> None:
        self.out, self.machine = out, machine
        out.mkdir(parents=True, exist_ok=True)
        self.states: dict[str, dict[tuple[str, ...], str]] = {}
        for step in COLUMNS:
            lines = lines_of(out, step)
            self._write(step, lines)
            self.states[step] = {
                self._key(step, line): line["status"]
                for line in lines
                if line["status"] not in {SKIPPED, *again} and line["machine"] == machine
            }

    def done(self, step: str, row: Row) -> bool:
        """Tell whether a row was measured, or tried since the start."""
        return self._key(step, row) in self.states[step]

    def add(self, step: str, row: Row, outcome: Outcome) -> None:
        """Append a row, which is on the disk when this returns."""
        text = " ".join(outcome.note.split())
        note = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
        status = outcome.status
        line = {**row, **outcome.values, "status": status, "note": note, "machine": self.machine}
        line["row_seconds"] = float(outcome.seconds)
        with file_of(self.out, step).open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([table.cell(line.get(column)) for column in columns(step)])
            file.flush()
            os.fsync(file.fileno())
        self.states[step][self._key(step, row)] = status

    def counts(self, step: str) -> dict[str, int]:
        """Return how many rows have each status."""
        found = list(self.states[step].values())
        return {status: found.count(status) for status in (MEASURED, ALONE, FAILED, SKIPPED)}

    def wrong(self) -> list[dict[str, str]]:
        """Return the key columns of what was measured here and does not hold."""
        step = "correctness"
        found = [line for line in lines_of(self.out, step) if line["machine"] == self.machine]
        return [{k: line[k] for k in COLUMNS[step][0]} for line in found if line["holds"] == "no"]

    @staticmethod
    def _key(step: str, row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(table.cell(row[k]) for k in COLUMNS[step][0])

    def _write(self, step: str, lines: Sequence[Mapping[str, str]]) -> None:
        """Write a file as a whole, beside the old one until it is complete."""
        path = file_of(self.out, step)
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns(step), lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
        part.replace(path)
