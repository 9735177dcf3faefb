"""Data sets: videos, their classes, and the split into training and validation.

Sources are folders with a subfolder per class, lists in several formats, and the lists of Kinetics and
Something-Something.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.files import DataError, UsageError
from archdsl.train.data.lists import FORM, Entry, Listed, class_file, count, read_json, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SUFFIXES = (".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".ogv")
LISTS = (".csv", ".tsv", ".txt", ".json")
TRAIN = ("train", "training")
VAL = ("val", "validation", "validate", "valid", "test")
MAX_PROBED = 100  # entries at the start of a list that are checked for an existing file


@dataclass(frozen=True)
class Sample:
    """A video, or its part from `start` to `end` seconds, with its class index; −1 if unknown."""

    path: str
    label: int
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Split:
    """The samples for training and validation; `note` describes their source in one line."""

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    classes: tuple[str, ...]
    note: str


def read_split(  # noqa: PLR0913, PLR0917  # options of the command line
    data: Path,
    val: Path | None = None,
    root: Path | None = None,
    classes: Path | None = None,
    val_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """Read the videos of a folder or list, for training and for validation.

    Args:
        data: a folder with a subfolder per class, a folder with `train` and `val` of this form, or a list.
        val: a folder or list for validation. By default the split in `data`, or else a random share of each class.
        root: folder that paths in lists are relative to; by default the folder of the list.
        classes: a file with one class name per line, in the order of their indices.
        val_share: the share of each class for validation.
        seed: seed of the random split, which does not depend on the order of files.

    Raises:
        UsageError: if a file or folder does not exist.
        DataError: with file and line, if there are no videos, or the source is inconsistent.
    """
    if not 0 < val_share < 1:
        raise UsageError(f"the share for validation is {val_share:g}; expected a number between 0 and 1")
    names = class_file(classes) if classes is not None else None
    parts = _parts(data) if val is None and data.is_dir() else None
    if parts is not None:
        listed, other, how = _read(parts[0], root, names), _read(parts[1], root, names), f"from {parts[1].name}/"
    elif val is not None:
        listed, other, how = _read(data, root, names), _read(val, root, names), f"from {val}"
    else:
        listed, other, how = *_by_column(_read(data, root, names)), "from the column `split`"
    class_names = names or listed.classes or _names(listed.entries)
    if names is None and len({e.label for e in listed.entries}) < 2:  # a test may have one of several named classes
        only = listed.entries[0].label
        raise DataError(f"{data}: all videos are of the class {only!r}; training needs at least two classes")
    numbers = _numbers_of(class_names, listed, named=names is not None)
    train = _numbered(listed.entries, numbers, data)
    notes = [listed.note]
    if other is None:
        train, validation = _divided(train, val_share, seed)
        how = f"{val_share:.0%} of each class, at random with seed {seed}"
    else:
        validation = _numbered(other.entries, numbers, data)
        notes += [other.note] * (other.note != listed.note)
    note = f"{len(train)} videos for training, {len(validation)} for validation ({how}), {len(class_names)} classes"
    return Split(train, validation, class_names, "; ".join([note, *filter(None, notes)]))


def read_tested(data: Path, root: Path | None = None, classes: Path | None = None) -> Split:
    """Read the videos of a folder or list for a test: of its split for validation or testing, else all of them.

    Args:
        data: a folder or list, as for `read_split`.
        root: folder that paths in lists are relative to; by default the folder of the list.
        classes: a file with one class name per line, in the order of their indices.

    Returns:
        The videos in `val`, and `train` empty.

    Raises:
        UsageError: if a file or folder does not exist.
        DataError: with file and line, if there are no videos, or the source is inconsistent.
    """
    names = class_file(classes) if classes is not None else None
    parts = _parts(data) if data.is_dir() else None
    listed = _read(parts[1] if parts is not None else data, root, names)
    listed, other = _by_column(listed)
    how = f"from {parts[1].name}/" if parts is not None else "from the column `split`" if other is not None else "all"
    listed = other or listed
    class_names = names or listed.classes or _names(listed.entries)
    samples = _numbered(listed.entries, _numbers_of(class_names, listed, named=names is not None), data)
    note = f"{len(samples)} videos ({how})"
    return Split((), samples, class_names, "; ".join(filter(None, [note, listed.note])))


def loose_videos(folder: Path) -> Split | None:
    """Return the videos directly in a folder, without classes, for checks only; None if there are none."""
    if not folder.is_dir():
        return None
    videos = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    samples = tuple(Sample(str(p), -1) for p in videos if p.is_file())
    return Split(samples, (), (), f"{len(samples)} videos, without classes") if samples else None


def _read(source: Path, root: Path | None, classes: Sequence[str] | None) -> Listed:
    if source.is_dir():
        return _read_folder(source)
    if not source.exists():
        raise UsageError(f"{source}: no such file or folder; expected a folder of videos, or a list of videos")
    if not source.is_file():
        raise UsageError(f"{source}: is neither a folder nor a file")
    if source.suffix.lower() in SUFFIXES:
        raise UsageError(f"{source}: is a video; expected a folder with a subfolder per class, or a list of videos")
    place = root if root is not None else source.parent
    if not place.is_dir():
        raise UsageError(f"{place}: no such folder; the paths in {source} are relative to it")
    listed = read_json(source, place) if source.suffix.lower() == ".json" else read_table(source, place, classes)
    if not listed.entries:
        raise DataError(f"{source}: the list is empty; {FORM}")
    first = listed.entries[0]
    if not any(Path(e.path).exists() for e in listed.entries[:MAX_PROBED]):
        raise DataError(
            f"{first.where}: no such file: {first.path}, nor the following ones; set their folder with --root"
        )
    return listed


# --- folders ---------------------------------------------------------------------------------------------------------


def _parts(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders, or else the lists, for training and validation in a folder; None if there are none."""
    sources = {p.name.lower(): p for p in sorted(folder.iterdir(), reverse=True) if p.is_dir()}
    lists = [p for p in sorted(folder.iterdir(), reverse=True) if p.is_file() and p.suffix.lower() in LISTS]
    if not any(name in sources for name in TRAIN):
        sources = {p.stem.lower(): p for p in lists}
    train = next((sources[n] for n in TRAIN if n in sources), None)
    val = next((sources[n] for n in VAL if n in sources), None)
    if train is None or (train.is_dir() and not any(p.is_dir() for p in train.iterdir())):  # `train` can be a class
        return None
    if val is None:
        raise DataError(f"{folder}: has {train.name}, but none of {', '.join(VAL)}; use --data {train}, or add --val")
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
        problem = "its videos are not in subfolders, one per class" if loose else "has no videos in its subfolders"
        raise DataError(f"{folder}: {problem}; put videos into {folder}/CLASS/, named *{', *'.join(SUFFIXES)}")
    notes = [f"{count(others, 'other file')} in {folder} ignored"] * bool(others)
    notes += [f"no videos in {', '.join(empty)}"] * bool(empty)
    return Listed(entries, None, "; ".join(notes))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


# --- classes and splits ----------------------------------------------------------------------------------------------


def _by_column(listed: Listed) -> tuple[Listed, Listed | None]:
    """Divide a list by its column `split`; without this column the second part is None."""
    train = [e for e in listed.entries if e.split in TRAIN]
    val = [e for e in listed.entries if e.split in VAL[:-1]] or [e for e in listed.entries if e.split in VAL]
    if not train or not val:
        return listed, None
    others = len(listed.entries) - len(train) - len(val)
    note = "; ".join(filter(None, [listed.note, f"{count(others, 'line')} of other splits ignored" * bool(others)]))
    return Listed(train, listed.classes, note), Listed(val, None, note)


def _numbers_of(names: Sequence[str], listed: Listed, *, named: bool) -> dict[str, int]:
    """Return the index of each label: of a class name, or of an index if the names are from a file of their own."""
    if named and not any(e.label in names for e in listed.entries):
        return {str(number): number for number in range(len(names))}
    return {name: number for number, name in enumerate(names)}


def _names(entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(sorted({e.label for e in entries}))


def _numbered(entries: Sequence[Entry], numbers: Mapping[str, int], data: Path) -> tuple[Sample, ...]:
    """Return the samples, with the indices of their classes."""
    samples: list[Sample] = []
    for entry in entries:
        if entry.label not in numbers:
            raise DataError(f"{entry.where}: {_unknown(entry.label, list(numbers), data)}")
        samples.append(Sample(entry.path, numbers[entry.label], entry.start, entry.end))
    return tuple(samples)


def _unknown(label: str, classes: Sequence[str], data: Path) -> str:
    from difflib import get_close_matches

    if classes == [str(number) for number in range(len(classes))]:
        return f"the class is {label}; expected 0 to {len(classes) - 1}"
    close = get_close_matches(label, classes, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"{data} has {', '.join(classes[:5])}"
    return f"unknown class {label!r}; {hint}" + ", …" * (not close and len(classes) > 5)


def _divided(samples: Sequence[Sample], share: float, seed: int) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Split off a share of each class for validation: at least one video of a class of two or more, and never all."""
    validation: set[Sample] = set()
    for label in sorted({s.label for s in samples}):
        own = sorted({s for s in samples if s.label == label}, key=lambda s: (_random_key(s, seed), s.path))
        validation.update(own[: min(max(1, round(share * len(own))), len(own) - 1)])
    return tuple(s for s in samples if s not in validation), tuple(s for s in samples if s in validation)


def _random_key(sample: Sample, seed: int) -> bytes:
    """Return a sort key for a random order of the samples of a class, independent of the folder of the files."""
    text = f"{seed}\0{sample.label}\0{Path(sample.path).name}\0{sample.start}\0{sample.end}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
