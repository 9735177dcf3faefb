"""The splits of HMDB51: a folder of `CLASS_test_split1.txt`, with 1 for training, 2 for testing and 0 for neither."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.files import DataError, UsageError
from archdsl.train.data.sources.source import Entry, Listed, Source, stored

if TYPE_CHECKING:
    from pathlib import Path

FILE = re.compile(r"(?P<label>.+)_test_split(?P<fold>\d+)\.txt")
SPLITS = {"0": "neither", "1": "train", "2": "test"}


def recognises(source: Source) -> bool:
    """Return True for a folder with such files."""
    return source.is_folder and any(FILE.fullmatch(p.name) for p in source.path.glob("*_test_split*.txt"))


def read(source: Source) -> Listed:
    """Return the videos of one of the splits, the first one by default."""
    files: dict[int, list[tuple[str, Path]]] = {}
    for path in sorted(source.path.glob("*_test_split*.txt")):
        match = FILE.fullmatch(path.name)
        if match is not None:
            files.setdefault(int(match["fold"]), []).append((match["label"], path))
    fold = source.options.fold or min(files)
    if fold not in files:
        raise UsageError(f"--fold {fold}: {source.path} has the splits {', '.join(map(str, sorted(files)))}")
    entries = [e for label, path in files[fold] for e in _entries(Source(path, source.options), label)]
    return Listed(entries, named=True, origin=f"split {fold} of {source.path.name}")


def _entries(source: Source, label: str) -> list[Entry]:
    entries: list[Entry] = []
    folders = (f"{label}/", "", f"../{label}/", f"hmdb51/{label}/", f"../hmdb51/{label}/")
    for line, fields in source.rows:
        if len(fields) != 2 or fields[1] not in SPLITS:
            raise DataError(f"{source.where(line)}: expected `VIDEO 0`, 1 (training) or 2 (testing)")
        path = stored(source.place, fields[0], folders)
        entries.append(Entry(path, label, source.where(line), split=SPLITS[fields[1]]))
    return entries
