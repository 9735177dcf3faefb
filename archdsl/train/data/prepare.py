"""A copy of a folder of videos that is fast to read: small frames, near key frames, without sound.

The copy has the folders of the original, its videos as `NAME.mp4`, and its lists with these names.
`prepare.json` records the settings; `failed.csv` lists the videos that could not be encoded.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archdsl.files import DataError, UsageError, system_fault, write_atomically
from archdsl.train.data.encode import encode
from archdsl.train.data.pool import run_each
from archdsl.train.data.reading import count
from archdsl.train.data.sources.source import SUFFIXES
from archdsl.train.data.video import VideoError
from archdsl.train.stopping import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archdsl.train.data.encode import Encoding

RECORD, FAILED = "prepare.json", "failed.csv"
LISTS = (".csv", ".tsv", ".txt", ".json")
NAMED = re.compile(rf"({'|'.join(map(re.escape, SUFFIXES))})(?=[\s,;\"'\]]|$)", re.IGNORECASE)  # suffixes in lists


class Task(NamedTuple):
    """A video, and its copy."""

    video: Path
    target: Path


class Outcome(NamedTuple):
    """The result of one task."""

    problem: str = ""
    fault: OSError | None = None  # of the disk with the copies


@dataclass
class Summary:
    """Numbers of the videos of a folder, and the reasons of failures."""

    done: int = 0
    kept: int = 0  # copies of an earlier call
    replaced: int = 0  # copies that were older than their videos
    failed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # paths and reasons
    notes: list[str] = field(default_factory=list[str])

    def as_text(self) -> str:
        """Return the summary as lines of text."""
        first = f"{count(self.done, 'video')} prepared"
        first += f", {self.replaced} of them again, as they have changed" * bool(self.replaced)
        first += f"; {count(self.kept, 'video')} had been prepared before" * bool(self.kept)
        lines = [first, *self.notes]
        if self.failed:
            reasons = Counter(re.sub(r"\d[\d.]*", "N", reason) for _, reason in self.failed)
            lines.append(f"{count(len(self.failed), 'video')} failed, listed in {FAILED}:")
            lines += [f"  {number} × {reason}" for reason, number in reasons.most_common()]
        return "\n".join(lines)


def prepare(
    source: Path, output: Path, encoding: Encoding, workers: int, progress: Callable[[int, int], None] | None = None
) -> Summary:
    """Write a copy of a folder of videos, or complete one.

    Args:
        source: the folder.
        output: the folder of the copy.
        encoding: settings of the videos.
        workers: number of processes.
        progress: called with the number of videos encoded and their total.

    Raises:
        UsageError: if the folder of the copy is that of the videos, has other files, or was made with other settings.
        DataError: if there are no videos, or two would have the same copy.
        CommandError: if the disk is full.
    """
    summary = Summary()
    if output.resolve() == source.resolve():
        raise UsageError(f"{output}: is the folder of the videos; choose another folder")
    tasks, lists, others = _inspect(source, output)
    summary.notes += [f"{count(others, 'other file')} left out"] * bool(others)
    _claim(source, output, encoding)
    with locked(output, "prepares these videos"):
        left: list[Task] = []
        for task in tasks:
            state = _state(task)
            summary.kept += state == "kept"
            summary.replaced += state == "old"
            left += [task] * (state != "kept")

        def note(number: int, outcome: Outcome | None) -> None:
            _note(summary, source, left[number], outcome or Outcome("crashes the decoder"))
            if progress is not None:
                progress(summary.done + len(summary.failed), len(left))

        run_each(partial(_encoded, encoding=encoding), left, workers, note)
        summary.notes += [line for path in lists if (line := _copy_list(path, source, output))]
        _write_failed(output / FAILED, sorted(summary.failed))
    return summary


def _note(summary: Summary, source: Path, task: Task, outcome: Outcome) -> None:
    """Count an outcome.

    Raises:
        CommandError: if the disk is full, or cannot be written for another reason.
    """
    if outcome.fault is not None:
        raise system_fault(task.target, outcome.fault)
    summary.done += not outcome.problem
    if outcome.problem:
        summary.failed.append((str(task.video.relative_to(source)), outcome.problem))


def _encoded(task: Task, encoding: Encoding) -> Outcome:
    try:
        encode(task.video, task.target, encoding)
    except VideoError as error:
        return Outcome(str(error))
    except MemoryError:
        raise
    except OSError as error:
        return Outcome(fault=error)
    except Exception as error:  # the other videos are still encoded
        return Outcome(f"cannot be encoded: {str(error) or type(error).__name__}")
    return Outcome()


# --- folders ---------------------------------------------------------------------------------------------------------


def _inspect(source: Path, output: Path) -> tuple[list[Task], list[Path], int]:
    """Return the videos with their copies, the lists, and the number of other files."""
    if not source.is_dir():
        hint = "lists in it are copied, too" if source.exists() else "no such folder"
        raise UsageError(f"{source}: expected a folder of videos; {hint}")
    tasks: list[Task] = []
    lists: list[Path] = []
    others = 0
    for path in _files(source, output.resolve()):
        suffix = path.suffix.lower()
        if suffix in SUFFIXES:
            tasks.append(Task(path, (output / path.relative_to(source)).with_suffix(".mp4")))
        elif suffix in LISTS:
            lists.append(path)
        else:
            others += 1
    if not tasks:
        raise DataError(f"{source}: has no videos, named *{', *'.join(SUFFIXES)}")
    copies: dict[Path, Path] = {}
    for task in tasks:
        other = copies.setdefault(task.target, task.video)
        if other != task.video:
            raise DataError(f"{other} and {task.video}: both copies would be {task.target}; rename one of them")
    return tasks, lists, others


def _files(source: Path, left_out: Path) -> Iterator[Path]:
    """Yield the files of a folder at any depth, in order; linked folders are followed once."""
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(source, followlinks=True):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in seen or Path(place).resolve() == left_out:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))


def _claim(source: Path, output: Path, encoding: Encoding) -> None:
    """Make the folder of the copy, with its record; accept one that was made with the same settings.

    Raises:
        UsageError: for another folder.
    """
    settings = {"source": str(source.resolve()), **asdict(encoding)}
    record = output / RECORD
    try:
        if record.is_file():
            before = json.loads(record.read_text("utf-8"))
            names = [name for name, value in settings.items() if before.get(name) != value]
            if names:
                differences = ", ".join(f"{name} {before.get(name)}" for name in names)
                raise UsageError(f"{output}: was made with other settings ({differences}); choose another folder")
            return
        if output.exists() and any(output.iterdir()):
            raise UsageError(f"{output}: has files that `archdsl data prepare` has not made; choose another folder")
        output.mkdir(parents=True, exist_ok=True)
        write_atomically(record, json.dumps(settings, indent=2) + "\n")
    except OSError as error:
        raise system_fault(output, error) from None
    except ValueError:
        raise UsageError(f"{record}: is not JSON; choose another folder") from None


def _state(task: Task) -> str:
    """Return the state of a copy: `missing`, `kept`, or `old` if its video is newer."""
    try:
        copy = task.target.stat()
    except OSError:
        return "missing"
    try:
        return "kept" if copy.st_mtime >= task.video.stat().st_mtime else "old"
    except OSError:  # a link without a target: the encoder gives the reason
        return "old"


# --- lists -----------------------------------------------------------------------------------------------------------


def _copy_list(path: Path, source: Path, output: Path) -> str:
    """Copy a list with the names of the copies; return a note if there is another one already."""
    target = output / path.relative_to(source)
    try:
        data = path.read_bytes()
        try:
            text = NAMED.sub(".mp4", data.decode("utf-8"))
        except UnicodeDecodeError:
            text = None
        if text is not None:
            data = text.replace(f"{source.resolve()}{os.sep}", f"{output.resolve()}{os.sep}").encode()
        if target.exists():
            return f"{target} kept: it differs from {path}" if target.read_bytes() != data else ""
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    except OSError as error:
        raise system_fault(target, error) from None
    return ""


def _write_failed(path: Path, failed: list[tuple[str, str]]) -> None:
    """Write the videos that have failed; no file without any."""
    if not failed:
        path.unlink(missing_ok=True)
        return
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "reason"])
        writer.writerows(failed)
