"""The CSV tables of a run: metrics of each step and of each epoch."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from archdsl.train.best import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from archdsl.train.best import Row

STEPS = "steps.csv"
EPOCHS = "epochs.csv"
VAL = "val_"  # begins the names of columns with metrics of validation


class Table:
    """A CSV file to which rows are appended, and which can be truncated to the state of a checkpoint."""

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self.path, self.columns = path, columns

    def begin(self, key: str, last: int) -> None:
        """Start the file with its rows whose `key` is at most `last`."""
        rows = [row for row in self.rows() if int(row[key]) <= last]
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    def add(self, row: dict[str, Any]) -> None:
        """Append a row."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def rows(self) -> list[dict[str, str]]:
        """Return all complete rows."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if None not in row.values() and None not in row]


def steps_table(folder: Path) -> Table:
    """Return the table with one row per optimizer step."""
    columns = "step", "epoch", "loss", "lr", "gradient_norm", "clips_per_second", "data_wait", "memory"
    return Table(folder / STEPS, columns)


def epochs_table(folder: Path, metrics: Iterable[str] = METRICS) -> Table:
    """Return the table with one row per epoch: mean training loss, and validation metrics."""
    validation = (f"{VAL}{name}" for name in metrics)
    return Table(folder / EPOCHS, ("epoch", "step", "loss", *validation, "clips_per_second", "data_wait", "memory"))


def history_of(table: Table) -> list[Row]:
    """Return the validation metrics of each epoch; columns of older runs may be missing."""
    return [
        {
            "epoch": int(row["epoch"]),
            **{name.removeprefix(VAL): float(text) for name, text in row.items() if name.startswith(VAL) and text},
        }
        for row in table.rows()
    ]
