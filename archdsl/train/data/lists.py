"""Lists of videos: tables in several formats, and the JSON of Something-Something."""

from __future__ import annotations

import csv
import json
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from archdsl.files import DataError, UsageError, system_fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# The accepted names of each column.
COLUMNS = {
    "path": ("path", "video", "file", "filename", "video_path"),
    "label": ("label", "class", "label_id", "class_id"),
    "start": ("start", "time_start", "start_time"),
    "end": ("end", "time_end", "end_time"),
    "id": ("youtube_id",),
    "split": ("split",),
}
FORM = "write lines `path label` or `path label start end`, separated by commas, tabs or spaces"


class Entry(NamedTuple):
    """A video in a folder or a list, with the name of its class, and the location of this entry for messages."""

    path: str
    label: str
    where: str
    start: float = 0.0
    end: float | None = None
    split: str = ""


class Listed(NamedTuple):
    """The entries of a folder or list; class names in the order of their indices, if known; a note about the source."""

    entries: list[Entry]
    classes: tuple[str, ...] | None
    note: str


# --- tables ----------------------------------------------------------------------------------------------------------


def _text(file: Path) -> str:
    """Return the text of a file.

    Raises:
        CommandError: if it cannot be read, or is not UTF-8 text.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise system_fault(file, error) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{file}:{line}: is not UTF-8 text; save the list as UTF-8") from None
    if "\0" in text:
        raise DataError(f"{file}:{text[: text.index(chr(0))].count(chr(10)) + 1}: is not text, but binary data")
    return text


def class_file(file: Path) -> tuple[str, ...]:
    """Read the names of classes from a file, one per line.

    Raises:
        CommandError: if the file cannot be read, or its names are invalid.
    """
    if not file.is_file():
        raise UsageError(f"{file}: no such file; expected a file with the name of one class per line")
    names = tuple(line.strip() for line in _text(file).splitlines())
    names = names[: len(names) - next((i for i, n in enumerate(reversed(names)) if n), len(names))]
    for number, name in enumerate(names):
        if not name:
            raise DataError(f"{file}:{number + 1}: empty line; expected the name of a class")
        if name in names[:number]:
            raise DataError(f"{file}:{number + 1}: {name!r} occurs twice; expected one line per class")
    if not names:
        raise DataError(f"{file}: is empty; expected the name of one class per line")
    if len(names) == 1:
        raise DataError(f"{file}: has one class, {names[0]!r}; training needs at least two classes")
    return names


def read_table(file: Path, place: Path, classes: Sequence[str] | None) -> Listed:
    """Read the videos of a table.

    Paths are relative to `place`; `classes` are the names of the classes if the table has class indices.
    """
    rows = _rows(file)
    columns = _columns(rows[0][1]) if rows else None
    if columns is not None and "path" not in columns and "id" not in columns:
        raise DataError(f"{file}:{rows[0][0]}: no column for the videos; name it `path` or `video`")
    if columns is not None and "label" not in columns:
        raise DataError(f"{file}:{rows[0][0]}: no column for the classes; name it `label` or `class`")
    width = len(rows[0][1]) if columns is not None else None
    entries = [_entry(fields, columns, width, f"{file}:{line}", place) for line, fields in rows[1 if columns else 0 :]]
    if classes is None and entries and all(re.fullmatch(r"-?\d+", e.label) for e in entries):
        return Listed(entries, _numbers(entries), "")
    return Listed(entries, None, "")


def _rows(file: Path) -> list[tuple[int, list[str]]]:
    """Return the line number and the fields of each line that is not empty."""
    text = _text(file)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = "\t" if "\t" in first else "," if "," in first else " "
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True, strict=True)
    begin = 1
    try:
        for row in reader:
            fields = [f.strip() for f in row]
            fields = [f for f in fields if f] if delimiter == " " else fields
            if any(fields):
                rows.append((begin, fields))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f'{file}:{reader.line_num}: {error}; quote fields as in "a, b"') from None
    return rows


def _columns(fields: Sequence[str]) -> dict[str, int] | None:
    """Return the index of each known column if the first line is a header; otherwise None."""
    keys = {name: key for key, names in COLUMNS.items() for name in names}
    names = [field.lower().replace(" ", "_") for field in fields]
    columns = {keys[name]: number for number, name in reversed(list(enumerate(names))) if name in keys}
    return columns if len(columns) > 1 or {"path", "id"} & set(columns) else None


def _entry(fields: Sequence[str], columns: dict[str, int] | None, width: int | None, where: str, place: Path) -> Entry:
    """Return the video of a line."""
    if columns is None:
        if len(fields) not in (2, 4):
            hint = "; quote a path that contains spaces or commas" if len(fields) > 2 else ""
            raise DataError(f"{where}: has {count(len(fields), 'field')}; {FORM}{hint}")
        columns = dict(zip(("path", "label", "start", "end")[: len(fields)], range(len(fields)), strict=True))
    elif len(fields) != width:
        raise DataError(f"{where}: has {count(len(fields), 'field')}, but the first line has {width}")
    values = {key: fields[number] for key, number in columns.items()}
    empty = next((key for key in ("path", "id", "label") if values.get(key) == ""), None)
    if empty is not None:
        raise DataError(f"{where}: the {'class' if empty == 'label' else 'video'} is empty")
    start, end = _seconds(values.get("start"), where), _seconds(values.get("end"), where)
    if end is not None and (start or 0.0) >= end:
        raise DataError(f"{where}: starts at {start or 0:g} s and ends at {end:g} s; the end must be later")
    label, split = values["label"], values.get("split", "").lower()
    if "path" in values:
        return Entry(str(place / values["path"]), label, where, start or 0.0, end, split)
    if start is None or end is None:
        raise DataError(f"{where}: youtube_id needs time_start and time_end, which are part of the file's name")
    return Entry(_kinetics_file(values["id"], label, (start, end), place), label, where, split=split)


def _kinetics_file(name: str, label: str, part: tuple[float, float], place: Path) -> str:
    """Return the file of a video of Kinetics, which is cut to the part in the list."""
    file = f"{name}_{int(part[0]):06d}_{int(part[1]):06d}.mp4"
    paths = (place / file, place / label / file, place / label.replace(" ", "_") / file)
    return str(next((p for p in paths if p.is_file()), paths[0]))


def _seconds(text: str | None, where: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise DataError(f"{where}: {text!r} is not a number of seconds")
    return seconds


def _numbers(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return the classes of a list with class indices."""
    for entry in entries:
        if int(entry.label) < 0:
            raise DataError(f"{entry.where}: the class is {entry.label}; class indices start at 0")
    last = max(entries, key=lambda e: int(e.label))
    indices = {int(e.label) for e in entries}
    if int(last.label) >= 2 * len(indices) + 1000:
        text = f"the class is {last.label}, but the list has only {len(indices)} classes; number them from 0"
        raise DataError(f"{last.where}: {text}, without gaps")
    return tuple(str(n) for n in range(int(last.label) + 1))


# --- Something-Something ---------------------------------------------------------------------------------------------


def read_json(file: Path, place: Path) -> Listed:
    """Read a list of Something-Something; `labels.json` in the same folder determines the order of classes."""
    items = _json(file)
    if not isinstance(items, list):
        raise DataError(f'{file}: expected a list of objects, as [{{"id": "1", "template": "Holding [something]"}}]')
    entries: list[Entry] = []
    for number, item in enumerate(cast("list[Any]", items)):
        where = f"{file}: entry {number + 1}"
        if not isinstance(item, dict) or "id" not in item:
            raise DataError(f"{where}: has no `id`, the name of the video")
        fields = cast("dict[str, Any]", item)
        label = fields.get("template") or fields.get("label")
        if not isinstance(label, str):
            raise DataError(f"{where}: has neither `template` nor `label`, the class of the video")
        name = str(fields["id"])
        paths = [place / f"{name}{suffix}" for suffix in (".webm", ".mp4", ".avi")]
        path = next((p for p in paths if p.is_file()), paths[0])
        entries.append(Entry(str(path), _without_brackets(label), where))
    labels = next((p for p in (file.parent / "labels.json", place / "labels.json") if p.is_file()), None)
    return Listed(entries, _json_classes(labels) if labels is not None else None, "")


def _json(file: Path) -> Any:
    try:
        return json.loads(_text(file))
    except json.JSONDecodeError as error:
        raise DataError(f"{file}:{error.lineno}: is not JSON: {error.msg}") from None
    except RecursionError:
        raise DataError(f"{file}: is nested too deeply for a list of videos") from None


def _json_classes(file: Path) -> tuple[str, ...]:
    labels = _json(file)
    try:
        pairs = [(int(number), _without_brackets(name)) for name, number in cast("Mapping[str, Any]", labels).items()]
    except (AttributeError, TypeError, ValueError):
        raise DataError(f'{file}: expected a map from class to index, as {{"Holding something": "0"}}') from None
    if sorted(number for number, _ in pairs) != list(range(len(pairs))):
        raise DataError(f"{file}: expected the class indices 0 to {len(pairs) - 1}, each once")
    return tuple(name for _, name in sorted(pairs))


def _without_brackets(name: str) -> str:
    return name.replace("[", "").replace("]", "").strip()


def count(number: int, noun: str) -> str:
    """Format a number with a noun, in the singular for 1."""
    return f"{number} {noun}" + "s" * (number != 1)
