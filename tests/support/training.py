"""A tiny network, options without randomness, and readers of a run's files, for the tests that train."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import sys
from typing import TYPE_CHECKING, Any

from forked import Command

from archdsl.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

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


def with_workers(options: list[str], count: int) -> list[str]:
    """Options with another number of workers; an option that is given twice is refused."""
    at = options.index("--workers") + 1
    return [*options[:at], str(count), *options[at + 1 :]]


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


def started(*arguments: str | Path, code: str = "", folder: Path | None = None) -> Command:
    """The command line in a process of its own; each process of the run has run some code before, kept in a folder."""
    program = ["-m", "archdsl"]
    if folder is not None:
        script = folder / "script.py"
        script.write_text(f"{code}\nfrom archdsl.cli import entry\nentry()\n", "utf-8")
        program = [str(script)]
    return Command([sys.executable, *program, *map(str, arguments)], {**os.environ, "OMP_NUM_THREADS": "1"})


def ended(command: Command, seconds: float = 180) -> tuple[int, str, str]:
    """Exit code, output and errors of a command, which has to end by itself."""
    return command.ended(seconds)


# --- code of a process whose training is interrupted ---

KILLED_AT = {
    # In the middle of a step, of writing a checkpoint, and between a checkpoint and the next step.
    "step": """
from archdsl.train.task import Task
old = Task.training_step
def training_step(self, batch, number):
    if self.global_step == STEP: os.kill(os.getpid(), 9)
    return old(self, batch, number)
Task.training_step = training_step
""",
    "write": """
import archdsl.train.checkpoints as c
old, count = os.fsync, [0]
def fsync(handle):
    if os.readlink(f"/proc/self/fd/{handle}").endswith(".ckpt.part"):
        count[0] += 1
        if count[0] == STEP:
            os.ftruncate(handle, 1000); os.kill(os.getpid(), 9)
    old(handle)
c.os.fsync = fsync
""",
}
# The disk is full at the third checkpoint.
FULL_DISK = """
import os, errno
from archdsl.train import checkpoints
count, old = [0], os.fsync
def fsync(handle):
    if os.readlink(f"/proc/self/fd/{handle}").endswith(".ckpt.part"):
        count[0] += 1
        if count[0] == 3: raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    old(handle)
checkpoints.os.fsync = fsync
"""


def send_signal(patch: pytest.MonkeyPatch, number: int, step: int, place: str) -> None:
    """Send a signal to this process and its workers, in a method of Task after some steps."""
    from archdsl.train.task import Task

    old = getattr(Task, place)

    def signalled(task: Task, *batch: Any) -> Any:
        if task.global_step == step:
            for process in (os.getpid(), *(child.pid for child in multiprocessing.active_children())):
                os.kill(process or 0, number)
        return old(task, *batch)

    patch.setattr(Task, place, signalled)
