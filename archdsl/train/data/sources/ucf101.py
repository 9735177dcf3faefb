"""The lists of UCF101: `trainlist01.txt` and `testlist01.txt`, with the classes in `classInd.txt`."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from archdsl.files import UsageError
from archdsl.train.data.classes import read_class_file
from archdsl.train.data.sources.source import Entry, Listed, Source, stored

if TYPE_CHECKING:
    from pathlib import Path

LIST = re.compile(r"(train|test)list(\d*)\.txt")
NAME = re.compile(r"v_(?P<group>\w+_g\d+)_c\d+")  # v_ApplyEyeMakeup_g08_c01


def recognises(source: Source) -> bool:
    """Return True for such a list, and for a folder with such lists."""
    return bool(_lists(source.path)) if source.is_folder else LIST.fullmatch(source.path.name) is not None


def read(source: Source) -> Listed:
    """Return the videos of the list for training and of that for testing, or of the one that is named."""
    names = source.beside("classInd.txt")
    classes = read_class_file(names) if names is not None else None
    path = source.path
    if source.is_folder:
        folds = _lists(path)
        fold = source.options.fold or min(folds)
        if fold not in folds:
            raise UsageError(f"--fold {fold}: {path} has the splits {', '.join(map(str, sorted(folds)))}")
        path = folds[fold]
    parts = [(path, "")]
    test = path.with_name(path.name.replace("train", "test"))
    if path.name.startswith("train") and test.is_file():
        parts = [(path, "train"), (test, "test")]
    entries = [e for part, split in parts for e in _entries(Source(part, source.options), split)]
    return Listed(entries, classes, named=True, origin=f"from {test.name}")


def _lists(folder: Path) -> dict[int, Path]:
    """Return the lists for training by the number of the split."""
    found = {LIST.fullmatch(p.name): p for p in folder.glob("trainlist*.txt")}
    return {int(match[2] or 1): path for match, path in found.items() if match is not None}


def _entries(source: Source, split: str) -> list[Entry]:
    entries: list[Entry] = []
    for line, fields in source.rows:
        name = PurePosixPath(fields[0])
        path = stored(source.place, str(name), ("", "UCF-101/", "../UCF-101/"))
        entries.append(Entry(path, name.parts[0], source.where(line), split=split, group=group_of(name.stem)))
    return entries


def group_of(name: str) -> str:
    """Return the group of a video of UCF101, whose videos show one scene; empty for other names."""
    match = NAME.fullmatch(name)
    return match["group"] if match is not None else ""
