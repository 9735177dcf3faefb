"""A tiny network, options without randomness, and readers of a run's files, for the tests that train."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from archdsl.cli import main

if TYPE_CHECKING:
    from pathlib import Path

TINY = """
arch tiny
param classes = 2
input clip: video[3, 4, 16, 16]
stage one { conv(12, 3, stride = [1, 2, 2], bias = on) -> layernorm -> gelu }
stage two { conv(16, 3, stride = [1, 2, 2], bias = on) -> layernorm -> gelu }
head: avgpool -> dropout(0.5) -> linear(classes)
"""
# Nothing is random but what the seed decides.
PLAIN = "--recipe optimizer=sgd --recipe lr=0.05 --workers 0 --device cpu --batch 8".split()
ONE_VIEW = "--recipe test_clips=1 --recipe test_crops=1".split()


def train(*arguments: str | Path) -> int:
    """Run `archdsl train` in this process."""
    return main(["train", *map(str, arguments)])


def column(run: Path, name: str, table: str = "steps.csv") -> list[str]:
    """Return a column of a run's table."""
    with (run / table).open(encoding="utf-8") as file:
        return [row[name] for row in csv.DictReader(file)]


def losses(run: Path) -> list[str]:
    """Return the loss of each step, with all its digits."""
    return column(run, "loss")


def settings(run: Path) -> Any:
    """Return the content of run.json."""
    return json.loads((run / "run.json").read_text("utf-8"))
