"""The results of a GPU on the page: `gpu.py write-docs`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import alternatives
import goals
import pass_gains
import table
from gpu_journal import COLUMNS, FAILED, SKIPPED, columns, file_of, lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESULTS = Path(__file__).parent / "results"
NOTHING = "Nothing has been measured on a GPU yet, so no table of this page has a row of one.\n"
MIB = 2**20
CHECKS = {
    "train": "logits", "infer": "logits of the module for inference", "gradients": "gradients of a training step"
}  # fmt: skip
Line = dict[str, str]
Found = tuple[str, list[str]]  # the words for a machine, and the cells of a row


def take_over(out: Path, results: Path = RESULTS) -> int:
    """Put what a GPU has measured among the results, in place of the same rows; return how many rows that are."""
    count = 0
    for step in COLUMNS:
        new = [line for line in lines_of(out, step) if line["device"] == "cuda"]
        if not new:
            continue
        key = (*COLUMNS[step][0], "machine")
        lines = {tuple(line[k] for k in key): line for line in (*lines_of(results, step), *new)}
        with file_of(results, step).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns(step), lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines.values())
        count += len(new)
    return count


def correctness(lines: list[Line]) -> Iterator[Found]:
    """Yield a row for each check: how many records hold, and the one that is furthest off."""
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        if line["holds"]:
            groups.setdefault((line["machine"], line["check"]), []).append(line)
    for (machine, check), members in groups.items():
        what, dtype = check.split()
        off = [line for line in members if line["difference"]]
        worst = max(off, key=lambda line: float(line["difference"]) / float(line["tolerance"]), default=None)
        cells = [CHECKS[what], table.WORDS[dtype], f"{sum(m['holds'] == 'yes' for m in members)} of {len(members)}"]
        if worst is None:
            yield machine, [*cells, "–", "finite"]
        else:
            far = f"`{worst['spec']}`, {float(worst['difference']):.1e}"
            yield machine, [*cells, far, f"≤ {float(worst['tolerance']):.0e}"]


def memory(lines: list[Line]) -> Iterator[Found]:
    """Yield a row for each step whose peak was measured."""
    for line in lines:
        if line["measured"]:
            sizes = [f"{float(line[k]) / MIB:.0f}" for k in ("predicted", "measured")]
            cells = [f"`{line['model']}`", line["batch"], table.WORDS[line["dtype"]], line["checkpointing"]]
            yield line["machine"], [*cells, *sizes, f"{float(line['ratio']):.2f}"]


def training(lines: list[Line]) -> Iterator[Found]:
    """Yield a row for each network that was trained."""
    for line in lines:
        if line["clips_per_second"]:
            how = "compiled" if line["compiled"] == "yes" else "eager"
            cells = [f"`{line['model']}`", line["clip"].replace("x", "×"), line["batch"], how]
            speed, share = float(line["clips_per_second"]), line["share_of_peak"]
            figures = [f"{speed:.1f}", f"{100 * float(share):.0f} %" if share else "–"]
            yield f"{line['machine']}, {table.WORDS[line['dtype']]}", [*cells, *figures]


# Of each part: its lines, what stands before the table, and the head of that.
PARTS: dict[str, tuple[Callable[[list[Line]], Iterator[Found]], str, tuple[str, ...]]] = {
    "correctness": (
        correctness, "Held against records of published implementations; the difference is of the largest logit.",
        ("what", "dtype", "hold", "furthest off", "required"),
    ),
    "memory": (
        memory, "The peak of a training step in MiB, and what `archdsl plan` predicts for it.",
        ("model", "batch", "dtype", "checkpointing", "predicted", "measured", "predicted / measured"),
    ),
    "training": (
        training, "The step of `archdsl train`, without the reading of videos.",
        ("model", "clip", "batch", "how", "clips/s", "of the matrix rate"),
    ),
}  # fmt: skip


def missing(results: Path) -> str:
    """Return a table of the rows that failed, and of how many were skipped; nothing if there are none."""
    cells: list[Found] = []
    for step in COLUMNS:
        lines = lines_of(results, step)
        for line in lines:
            if line["status"] == FAILED:
                row = " ".join(line[k] for k in COLUMNS[step][0][1:])
                cells.append((line["machine"], [step, row, line["note"].replace("|", "/")]))
        for note in dict.fromkeys((line["machine"], line["note"]) for line in lines if line["status"] == SKIPPED):
            count = sum((line["machine"], line["note"]) == note and line["status"] == SKIPPED for line in lines)
            cells.append((note[0], [step, f"{count} rows", note[1]]))
    return f"Not measured:\n\n{table.by_machine(('step', 'row', 'why'), cells)}" if cells else ""


def section(results: Path = RESULTS) -> str:
    """Return what the page says of a GPU beside its tables of speed, passes and forms."""
    parts: list[str] = []
    for step, (cells, words, head) in PARTS.items():
        found = [*cells(lines_of(results, step))]
        if found:
            parts.append(f"{words}\n\n{table.by_machine(head, found)}")
    more = missing(results)
    return "\n".join([*parts, *([more] if more else [])]) or NOTHING


def write_docs(out: Path | None) -> None:
    """Take over the files of a folder, if one is named, and write all tables of the page that a GPU has rows in.

    Raises:
        SystemExit: if a GPU has measured nothing there.
    """
    if out is not None and not take_over(out):
        raise SystemExit(f"{out}: no rows of a GPU, so the page stays as it is")
    goals.write_page(
        **goals.tables(goals.rows_of(RESULTS / "speed.csv")),
        passes=pass_gains.markdown(table.shown_lines(pass_gains.RESULTS)),
        alternatives=alternatives.markdown(table.shown_lines(alternatives.RESULTS)),
        gpu=section(),
    )
