"""Tables of videos: CSV, TSV or words separated by spaces, with or without a header."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from archdsl.files import DataError, UsageError
from archdsl.train.data.reading import count
from archdsl.train.data.sources.source import SUFFIXES, Entry, Listed, stored
from archdsl.train.tasks import HEADS, MULTILABEL, PRETRAIN, REGRESSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archdsl.train.data.sources.source import Options, Source

FORM = "write lines `path label` or `path label start end`, separated by commas, tabs or spaces"
# Columns without a header, by their number: of videos, and of folders of frames (TSN, mmaction2).
VIDEOS: dict[int, tuple[str, ...]] = {1: ("path",), 2: ("path", "label"), 4: ("path", "label", "start", "end")}
FOLDERS: dict[int, tuple[str, ...]] = {
    **VIDEOS, 3: ("path", "frames", "label"), 4: ("path", "first", "frames", "label"),
}  # fmt: skip
MAX_PROBED = 100  # lines that are looked at to tell folders of frames from videos
LABEL = "label"  # the column of labels; further ones have a number behind this word
SEVERAL = (MULTILABEL, REGRESSION, HEADS, PRETRAIN)  # tasks with any number of columns of labels
MORE_NAMES = {MULTILABEL: ("labels", "classes", "tags"), REGRESSION: ("target", "value")}  # of the column, by task


def recognises(source: Source) -> bool:
    """Return True for each file that is not JSON."""
    return not source.is_folder and source.suffix != ".json"


def read(source: Source) -> Listed:
    """Return the videos of a table, or the folders of frames."""
    labels = _label_columns(source.options)
    table = Table(source, {**Table.COLUMNS, **labels})
    names: tuple[str, ...] = ()
    if table.has_header:
        table.require("path", "the videos; name it `path` or `video`")
        missing = [column for column in labels if column not in table.columns]
        if missing and source.options.label is not None:
            name = source.options.label if len(labels) == 1 else labels[missing[0]][0]
            known = f"the columns of {source.path} are {', '.join(source.header)}"
            several = "; several columns are for --task multilabel or regression" if "," in name else ""
            raise UsageError(f"--label {name}: {known}{several}")
        names = tuple(source.rows[0][1][table.columns[column]] for column in labels if column not in missing)
    if source.options.task == HEADS and names:
        names = source.options.label_names  # in the spelling by which a run knows its classes
    several, used = source.options.task in SEVERAL, ("label",) if table.has_header else ()
    entries = [_entry(row, source.place, several) for row in table.rows()]
    renamed = _with_suffixes(entries)
    note = f"the videos have other suffixes than in {source.path.name}" if renamed is not None else ""
    notes = "; ".join(filter(None, [table.note, note]))
    return Listed(renamed or entries, None, notes, columns=names, options=used)


def _with_suffixes(entries: Sequence[Entry]) -> list[Entry] | None:
    """Return entries with the suffixes that their videos have, such as mp4 in place of avi; None if they are right."""
    probed = entries[:MAX_PROBED]
    if any(Path(e.path).exists() for e in probed) or not any(Path(stored(Path(), e.path)).exists() for e in probed):
        return None
    return [e._replace(path=stored(Path(), e.path)) for e in entries]


def _label_columns(options: Options) -> dict[str, tuple[str, ...]]:
    """Return the accepted names of the columns of labels, by the name that `Table` gives each of them."""
    names = [(name.lower().replace(" ", "_"),) for name in options.label_names]
    return {LABEL + str(n or ""): name for n, name in enumerate(names or [label_columns(options)])}


def label_columns(options: Options) -> tuple[str, ...]:
    """Return the accepted names of a single column of labels, by precedence."""
    return (*Table.COLUMNS["label"], *MORE_NAMES.get(options.task or "", ()))


def _entry(row: Row, place: Path, several: bool) -> Entry:
    path = row.text("path")
    start, end = row.part()
    frames = row.frames()
    label = row.text(LABEL) if LABEL in row.columns and not several else ""
    columns = sorted((n for n in row.columns if n.startswith(LABEL)), key=lambda n: (len(n), n)) if several else []
    split, group = row.optional("split").lower(), row.optional("group")
    targets = tuple(map(row.optional, columns))
    return Entry(str(place / path), label, row.where, start, end, split, group, frames, targets=targets)


class Row:
    """A line of a table."""

    def __init__(self, fields: Sequence[str], columns: Mapping[str, int], where: str) -> None:
        self.fields, self.columns, self.where = fields, columns, where

    def optional(self, key: str) -> str:
        """Return the text of a column; empty without such a column."""
        return self.fields[self.columns[key]] if key in self.columns else ""

    def text(self, key: str) -> str:
        """Return the text of a column.

        Raises:
            DataError: if it is empty.
        """
        text = self.optional(key)
        if not text:
            raise DataError(f"{self.where}: the {'class' if key == 'label' else 'video'} is empty")
        return text

    def seconds(self, key: str) -> float:
        """Return the seconds of a column: a number, or hours, minutes and seconds; 0 if it is empty.

        Raises:
            DataError: if it is neither.
        """
        text = self.optional(key)
        try:
            parts = [float(part) for part in text.split(":")] if text else [0.0]
            seconds = (
                sum(part * 60**power for power, part in enumerate(reversed(parts))) if len(parts) < 4 else math.nan
            )
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            raise DataError(f"{self.where}: {text!r} is not a number of seconds")
        return seconds

    def part(self) -> tuple[float, float | None]:
        """Return the start and the end of a part, in seconds.

        Raises:
            DataError: if the end is not after the start.
        """
        start, end = self.seconds("start"), self.seconds("end") if self.optional("end") else None
        if end is not None and start >= end:
            raise DataError(f"{self.where}: starts at {start:g} s and ends at {end:g} s; the end must be later")
        return start, end

    def frames(self) -> tuple[int, int] | None:
        """Return the numbers of the first and the last frame of a folder of frames; None for all, or a video.

        Raises:
            DataError: if the number of frames is not a positive whole number.
        """
        count, first = self.optional("frames"), self.optional("first") or "0"
        if not count:
            return None
        if not count.isdecimal() or not int(count) or not first.isdecimal():
            raise DataError(f"{self.where}: {count!r} is not a number of frames")
        # frames are numbered from 0 or from 1: without a first one, both are in the range
        return int(first), int(first) + int(count) - bool(self.optional("first"))


class Table:
    """The lines of a table, with the columns that are known.

    Args:
        source: the list.
        known: the accepted names of each column, in lower case.
    """

    PARTS: ClassVar[dict[str, tuple[str, ...]]] = {
        "start": ("start", "time_start", "start_time"), "end": ("end", "time_end", "end_time"), "split": ("split",),
    }  # fmt: skip
    COLUMNS: ClassVar[dict[str, tuple[str, ...]]] = {
        "path": ("path", "video", "file", "filename", "video_path"),
        "label": ("label", "class", "label_id", "class_id"), "group": ("group",), **PARTS,
    }  # fmt: skip

    def __init__(self, source: Source, known: Mapping[str, tuple[str, ...]]) -> None:
        self.source, self.note = source, ""
        keys = {name: key for key, names in known.items() for name in names}
        names = [field.replace(" ", "_") for field in source.header]
        self.columns = {keys[name]: number for number, name in reversed(list(enumerate(names))) if name in keys}
        self.has_header = len(self.columns) > 1 or bool({"path", "id"} & set(self.columns))
        self.unnamed: dict[int, tuple[str, ...]] = {}
        self.folders = False
        if not self.has_header:
            self.columns = {}
            self._check_first()
            self.folders = any((source.place / fields[0]).is_dir() for _, fields in source.rows[:MAX_PROBED])
            forms = FOLDERS if self.folders else VIDEOS
            self.unnamed = {n: c for n, c in forms.items() if n > 1 or self._width() == 1}

    def require(self, key: str, what: str) -> None:
        """Check that there is a column.

        Raises:
            DataError: without it.
        """
        if key not in self.columns:
            raise DataError(f"{self.source.where(self.source.rows[0][0])}: no column for {what}")

    def rows(self) -> Iterator[Row]:
        """Yield the lines after the header.

        Raises:
            DataError: if a line has another number of fields.
        """
        rows = self.source.rows
        for line, fields in rows[1 if self.has_header else 0 :]:
            where = self.source.where(line)
            columns = self.columns
            if not self.has_header:
                columns = {name: number for number, name in enumerate(self._unnamed(fields, where))}
            elif len(fields) != len(rows[0][1]):
                raise DataError(f"{where}: has {count(len(fields), 'field')}, but the first line has {len(rows[0][1])}")
            yield Row(fields, columns, where)

    def _width(self) -> int:
        return len(self.source.rows[0][1]) if self.source.rows else 0

    def _unnamed(self, fields: Sequence[str], where: str) -> tuple[str, ...]:
        """Return the columns of a line without a header.

        Raises:
            DataError: if the line has another number of fields than they.
        """
        if self.source.options.task in SEVERAL:  # all further fields are labels
            first = ("path", "frames") if self.folders else ("path",)
            return (*first, *(LABEL + str(n or "") for n in range(len(fields) - len(first))))
        if len(fields) in self.unnamed:
            return self.unnamed[len(fields)]
        path = " ".join(fields[:-1])
        hint = "; quote a path that contains spaces or commas" if len(fields) > 2 else ""
        if hint and (self.source.place / path).exists():
            hint += f', as in "{path}" {fields[-1]}'
        raise DataError(f"{where}: has {count(len(fields), 'field')}; {FORM}{hint}")

    def _check_first(self) -> None:
        """Recognise a header with other words: its path is none, unlike those of the other lines.

        Raises:
            DataError: if the words do not say which columns are the video and the class.
        """
        rows = self.source.rows
        if len(rows) < 2 or self._has_path(rows[0][1]) or not all(self._has_path(f) for _, f in rows[1:3]):
            return
        line, names = rows[0]
        text = ", ".join(f"`{name}`" for name in names)
        if len(names) != 2 or not self._is_path(rows[1][1][0]):
            known = "`path` and `label`, and `start`, `end` and `split` if there are any"
            raise DataError(f"{self.source.where(line)}: is a header with unknown columns {text}; name them {known}")
        self.has_header, self.columns = True, {"path": 0, "label": 1}
        self.note = f"{self.source.path}: line {line}, {text}, is read as a header of paths and classes"

    def _has_path(self, fields: Sequence[str]) -> bool:
        return any(self._is_path(field) for field in fields)

    def _is_path(self, field: str) -> bool:
        return Path(field).suffix.lower() in SUFFIXES or ("/" in field and (self.source.place / field).exists())
