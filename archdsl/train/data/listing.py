"""Which videos there are, of which class, and which of them are kept for validation.

Folders with a subfolder for each class, lists of several forms, and the lists of Kinetics and Something-Something.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from archdsl.files import DataError, UsageError, system_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SUFFIXES = (".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".ogv")
LISTS = (".csv", ".tsv", ".txt", ".json")
TRAIN = ("train", "training")
VAL = ("val", "validation", "validate", "valid", "test")
# The names of columns, by what they hold.
COLUMNS = {
    "path": ("path", "video", "file", "filename", "video_path"),
    "label": ("label", "class", "label_id", "class_id"),
    "start": ("start", "time_start", "start_time"),
    "end": ("end", "time_end", "end_time"),
    "id": ("youtube_id",),
    "split": ("split",),
}
LOOKED_AT = 100  # entries of a list, to see whether its paths begin in the right folder
FORM = "a line is `path label`, or `path label start end`, with commas, tabs or spaces between"


@dataclass(frozen=True)
class Sample:
    """A video, or its part from `start` to `end` seconds, and its class by number; −1 is unknown."""

    path: str
    label: int
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Split:
    """What is for training and what for validation; `note` says in one line where that comes from."""

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    classes: tuple[str, ...]
    note: str


class Entry(NamedTuple):
    """A video as a folder or a list has it: its class by name, and where that is said."""

    path: str
    label: str
    where: str
    start: float = 0.0
    end: float | None = None
    split: str = ""


class Listed(NamedTuple):
    """What one source has: of a folder also how many other files, of a list also its class names in order."""

    entries: list[Entry]
    classes: tuple[str, ...] | None
    note: str


def read_split(  # noqa: PLR0913, PLR0917  # each is an option of the command line
    data: Path,
    val: Path | None = None,
    root: Path | None = None,
    classes: Path | None = None,
    val_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """The videos of a folder or list, for training and for validation.

    Args:
        data: a folder with a subfolder for each class; one that has such folders as `train` and `val`; or a list.
        val: the same for validation. Without it, and if `data` says nothing of it, a share of each class is taken.
        root: where the paths of lists begin; by default in the folder of the list.
        classes: a file with the name of each class in a line, in the order of their numbers.
        val_share: the share of each class for validation.
        seed: of its choice, which does not depend on the order of files.

    Raises:
        UsageError: if there is no such file or folder.
        DataError: with file and line, if there are no videos, or what there is contradicts itself.
    """
    if not 0 < val_share < 1:
        raise UsageError(f"the share for validation is {val_share:g}; it must be between 0 and 1")
    names = _class_file(classes) if classes is not None else None
    parts = _parts(data) if val is None and data.is_dir() else None
    if parts is not None:
        given, held, how = _read(parts[0], root, names), _read(parts[1], root, names), f"as {parts[1].name}/ has it"
    elif val is not None:
        given, held, how = _read(data, root, names), _read(val, root, names), f"as {val} has it"
    else:
        given, held, how = *_by_column(_read(data, root, names)), "as the column `split` has it"
    found = names or given.classes or _names(given.entries)
    if names is None and len({e.label for e in given.entries}) < 2:  # of named classes, one may be all that is tested
        only = given.entries[0].label
        raise DataError(f"{data}: all videos are of the class {only!r}; there is nothing to tell apart with one class")
    numbers = {name: number for number, name in enumerate(found)}
    if names is not None and not any(e.label in numbers for e in given.entries):
        numbers = {str(number): number for number in range(len(names))}
    train = _numbered(given.entries, numbers, data)
    notes = [given.note]
    if held is None:
        train, kept = _divided(train, val_share, seed)
        how = f"{val_share:.0%} of each class, at random by seed {seed}"
    else:
        kept = _numbered(held.entries, numbers, data)
        notes += [held.note] * (held.note != given.note)
    note = f"{len(train)} videos for training, {len(kept)} for validation ({how}), {len(found)} classes"
    return Split(train, kept, found, "; ".join([note, *filter(None, notes)]))


def loose_videos(folder: Path) -> Split | None:
    """The videos right in a folder, of no class: to be looked at, not to be learned. None where there are none."""
    if not folder.is_dir():
        return None
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    samples = tuple(Sample(str(p), -1) for p in found if p.is_file())
    return Split(samples, (), (), f"{len(samples)} videos, without classes") if samples else None


def _read(source: Path, root: Path | None, classes: Sequence[str] | None) -> Listed:
    if source.is_dir():
        return _read_folder(source)
    if not source.exists():
        raise UsageError(f"{source}: no such file or folder; name a folder of videos, or a list of them")
    if not source.is_file():
        raise UsageError(f"{source}: is neither a folder nor a file")
    if source.suffix.lower() in SUFFIXES:
        raise UsageError(f"{source}: is a video; name a folder with a subfolder for each class, or a list of videos")
    place = root if root is not None else source.parent
    if not place.is_dir():
        raise UsageError(f"{place}: no such folder; it is where the paths of {source} begin")
    listed = _read_json(source, place) if source.suffix.lower() == ".json" else _read_table(source, place, classes)
    if not listed.entries:
        raise DataError(f"{source}: lists no videos; {FORM}")
    first = listed.entries[0]
    if not any(Path(e.path).exists() for e in listed.entries[:LOOKED_AT]):
        raise DataError(
            f"{first.where}: no such file: {first.path}, nor any after it; say with --root where paths begin"
        )
    return listed


# --- folders ---------------------------------------------------------------------------------------------------------


def _parts(folder: Path) -> tuple[Path, Path] | None:
    """The folders, or else the lists, for training and for validation in a folder; None if these are no such names."""
    found = {p.name.lower(): p for p in sorted(folder.iterdir(), reverse=True) if p.is_dir()}
    lists = [p for p in sorted(folder.iterdir(), reverse=True) if p.is_file() and p.suffix.lower() in LISTS]
    if not any(name in found for name in TRAIN):
        found = {p.stem.lower(): p for p in lists}
    train = next((found[n] for n in TRAIN if n in found), None)
    val = next((found[n] for n in VAL if n in found), None)
    if train is None or (train.is_dir() and not any(p.is_dir() for p in train.iterdir())):  # `train` can be a class
        return None
    if val is None:
        raise DataError(f"{folder}: has {train.name}, but none of {', '.join(VAL)}; name {train} itself, or add --val")
    return train, val


def _read_folder(folder: Path) -> Listed:
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    entries: list[Entry] = []
    others = sum(p.is_file() for p in folder.iterdir())
    empty: list[str] = []
    for place in classes:
        files = sorted(p for p in place.rglob("*") if p.is_file())
        videos = [p for p in files if p.suffix.lower() in SUFFIXES and not _hidden(p.relative_to(folder))]
        others += len(files) - len(videos)
        empty += [place.name] * (not videos)
        entries += [Entry(str(p), place.name, str(place)) for p in videos]
    if not entries:
        loose = any(p.suffix.lower() in SUFFIXES for p in folder.iterdir())
        found = "has videos, but not in subfolders, one for each class" if loose else "has no videos in its subfolders"
        raise DataError(f"{folder}: {found}; put them into {folder}/CLASS/, named *{', *'.join(SUFFIXES)}")
    notes = [f"{_count(others, 'other file')} in {folder} left out"] * bool(others)
    notes += [f"no videos in {', '.join(empty)}"] * bool(empty)
    return Listed(entries, None, "; ".join(notes))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


# --- tables ----------------------------------------------------------------------------------------------------------


def _text(file: Path) -> str:
    """A text file.

    Raises:
        CommandError: if it cannot be read, or is no text.
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


def _class_file(file: Path) -> tuple[str, ...]:
    if not file.is_file():
        raise UsageError(f"{file}: no such file; it should have the name of each class in a line")
    names = tuple(line.strip() for line in _text(file).splitlines())
    names = names[: len(names) - next((i for i, n in enumerate(reversed(names)) if n), len(names))]
    for number, name in enumerate(names):
        if not name:
            raise DataError(f"{file}:{number + 1}: is empty; each line is the name of a class")
        if name in names[:number]:
            raise DataError(f"{file}:{number + 1}: {name!r} is there twice; each class has one line")
    if not names:
        raise DataError(f"{file}: is empty; it should have the name of each class in a line")
    if len(names) == 1:
        raise DataError(f"{file}: names one class, {names[0]!r}; there is nothing to tell apart")
    return names


def _read_table(file: Path, place: Path, classes: Sequence[str] | None) -> Listed:
    rows = _rows(file)
    columns = _columns(rows[0][1]) if rows else None
    if columns is not None and "path" not in columns and "id" not in columns:
        raise DataError(f"{file}:{rows[0][0]}: no column has the videos; name it `path` or `video`")
    if columns is not None and "label" not in columns:
        raise DataError(f"{file}:{rows[0][0]}: no column has the classes; name it `label` or `class`")
    width = len(rows[0][1]) if columns is not None else None
    entries = [_entry(fields, columns, width, f"{file}:{line}", place) for line, fields in rows[1 if columns else 0 :]]
    if classes is None and entries and all(re.fullmatch(r"-?\d+", e.label) for e in entries):
        return Listed(entries, _numbers(entries), "")
    return Listed(entries, None, "")


def _rows(file: Path) -> list[tuple[int, list[str]]]:
    """The fields of each line that has any, with its number."""
    text = _text(file)
    first = next((line for line in text.splitlines() if line.strip()), "")
    mark = "\t" if "\t" in first else "," if "," in first else " "
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(text.splitlines(keepends=True), delimiter=mark, skipinitialspace=True, strict=True)
    begin = 1
    try:
        for fields in reader:
            found = [f.strip() for f in fields]
            found = [f for f in found if f] if mark == " " else found
            if any(found):
                rows.append((begin, found))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f'{file}:{reader.line_num}: {error}; quote fields as in "a, b"') from None
    return rows


def _columns(fields: Sequence[str]) -> dict[str, int] | None:
    """Which column holds what, if it is a header."""
    known = {name: what for what, names in COLUMNS.items() for name in names}
    names = [field.lower().replace(" ", "_") for field in fields]
    found = {known[name]: number for number, name in reversed(list(enumerate(names))) if name in known}
    return found if len(found) > 1 or {"path", "id"} & set(found) else None


def _entry(fields: Sequence[str], columns: dict[str, int] | None, width: int | None, where: str, place: Path) -> Entry:
    """The video of a line."""
    if columns is None:
        if len(fields) not in (2, 4):
            hint = "; quote a path with spaces or commas in it" if len(fields) > 2 else ""
            raise DataError(f"{where}: has {_count(len(fields), 'field')}; {FORM}{hint}")
        columns = dict(zip(("path", "label", "start", "end")[: len(fields)], range(len(fields)), strict=True))
    elif len(fields) != width:
        raise DataError(f"{where}: has {_count(len(fields), 'field')}, the first line has {width}")
    values = {what: fields[number] for what, number in columns.items()}
    for what in ("path", "id", "label"):
        if what in values and not values[what]:
            raise DataError(f"{where}: the {'class' if what == 'label' else 'video'} is empty")
    start, end = _seconds(values.get("start"), where), _seconds(values.get("end"), where)
    if end is not None and (start or 0.0) >= end:
        raise DataError(f"{where}: starts at {start or 0:g} s and ends at {end:g} s; the end must be later")
    label, split = values["label"], values.get("split", "").lower()
    if "path" in values:
        return Entry(str(place / values["path"]), label, where, start or 0.0, end, split)
    # a file of Kinetics holds the part that the list names, and nothing else
    if start is None or end is None:
        raise DataError(f"{where}: with youtube_id there must be time_start and time_end, which its file is named by")
    name = f"{values['id']}_{int(start):06d}_{int(end):06d}.mp4"
    paths = (place / name, place / label / name, place / label.replace(" ", "_") / name)
    return Entry(str(next((p for p in paths if p.is_file()), paths[0])), label, where, split=split)


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
    """The classes of a list that numbers them."""
    for entry in entries:
        if int(entry.label) < 0:
            raise DataError(f"{entry.where}: the class is {entry.label}; classes are numbered from 0")
    last = max(entries, key=lambda e: int(e.label))
    found = {int(e.label) for e in entries}
    if int(last.label) >= 2 * len(found) + 1000:
        text = f"the class is {last.label}, and there are no more than {len(found)} classes; number them from 0"
        raise DataError(f"{last.where}: {text}, without gaps")
    return tuple(str(n) for n in range(int(last.label) + 1))


def _by_column(listed: Listed) -> tuple[Listed, Listed | None]:
    """The two parts that a column tells, if one does."""
    train = [e for e in listed.entries if e.split in TRAIN]
    val = [e for e in listed.entries if e.split in VAL[:-1]] or [e for e in listed.entries if e.split in VAL]
    if not train or not val:
        return listed, None
    others = len(listed.entries) - len(train) - len(val)
    note = "; ".join(filter(None, [listed.note, f"{_count(others, 'line')} of other splits left out" * bool(others)]))
    return Listed(train, listed.classes, note), Listed(val, None, note)


# --- Something-Something ---------------------------------------------------------------------------------------------


def _read_json(file: Path, place: Path) -> Listed:
    """A list of Something-Something, with the order of its classes from `labels.json` beside it."""
    found = _json(file)
    if not isinstance(found, list):
        raise DataError(f'{file}: should be a list of objects, as [{{"id": "1", "template": "Holding [something]"}}]')
    entries: list[Entry] = []
    for number, item in enumerate(cast("list[Any]", found)):
        where = f"{file}: entry {number + 1}"
        if not isinstance(item, dict) or "id" not in item:
            raise DataError(f"{where}: has no `id`, which its video is named by")
        fields = cast("dict[str, Any]", item)
        label = fields.get("template") or fields.get("label")
        if not isinstance(label, str):
            raise DataError(f"{where}: has no `template` and no `label`, which would be its class")
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
        raise DataError(f"{file}: is nested too deeply to be a list of videos") from None


def _json_classes(file: Path) -> tuple[str, ...]:
    found = _json(file)
    try:
        pairs = [(int(number), _without_brackets(name)) for name, number in cast("Mapping[str, Any]", found).items()]
    except (AttributeError, TypeError, ValueError):
        raise DataError(f'{file}: should give each class its number, as {{"Holding something": "0"}}') from None
    if sorted(number for number, _ in pairs) != list(range(len(pairs))):
        raise DataError(f"{file}: the numbers of the classes should be 0 to {len(pairs) - 1}, each once")
    return tuple(name for _, name in sorted(pairs))


def _without_brackets(name: str) -> str:
    return name.replace("[", "").replace("]", "").strip()


# --- classes and splits ----------------------------------------------------------------------------------------------


def _names(entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(sorted({e.label for e in entries}))


def _numbered(entries: Sequence[Entry], numbers: Mapping[str, int], data: Path) -> tuple[Sample, ...]:
    """The samples, with the numbers of their classes."""
    samples: list[Sample] = []
    for entry in entries:
        if entry.label not in numbers:
            raise DataError(f"{entry.where}: {_unknown(entry.label, list(numbers), data)}")
        samples.append(Sample(entry.path, numbers[entry.label], entry.start, entry.end))
    return tuple(samples)


def _unknown(label: str, classes: Sequence[str], data: Path) -> str:
    from difflib import get_close_matches

    if classes == [str(number) for number in range(len(classes))]:
        return f"the class is {label}, and there are {len(classes)}: 0 to {len(classes) - 1}"
    close = get_close_matches(label, classes, n=1)
    known = f"did you mean {close[0]!r}?" if close else f"{data} has {', '.join(classes[:5])}"
    return f"the class {label!r} is not known; {known}" + ", …" * (not close and len(classes) > 5)


def _divided(samples: Sequence[Sample], share: float, seed: int) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """A share of each class for validation: one video at least where there are two, and never all."""
    kept: set[Sample] = set()
    for label in sorted({s.label for s in samples}):
        own = sorted({s for s in samples if s.label == label}, key=lambda s: (_draw(s, seed), s.path))
        kept.update(own[: min(max(1, round(share * len(own))), len(own) - 1)])
    return tuple(s for s in samples if s not in kept), tuple(s for s in samples if s in kept)


def _draw(sample: Sample, seed: int) -> bytes:
    """What orders the samples of a class at random. The name of the file decides, not where its folder stands."""
    text = f"{seed}\0{sample.label}\0{Path(sample.path).name}\0{sample.start}\0{sample.end}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)
