"""Several files as one source: a folder of them, or a pattern such as `{000..012}.tar` or `train-*.tar`."""

from __future__ import annotations

import glob
import re
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.files import UsageError
from archdsl.train.data.reading import count, some

if TYPE_CHECKING:
    from archdsl.train.data.sources.source import Source

BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")
SPLIT = re.compile(r"(?:^|[^a-z])(train|training|val|valid|validation|test)(?![a-z])")
DATA = "data"  # the folder of the files in repositories of Hugging Face


def is_pattern(path: Path) -> bool:
    """Return True for a path with braces or wildcards that is no file itself."""
    return any(sign in str(path) for sign in "{*?[") and not path.exists()


def files_of(source: Source, suffix: str) -> list[Path]:
    """Return the files with a suffix that a source consists of: a file, a pattern or a folder; empty for others.

    A folder has the files itself, or in its subfolders of splits, such as `train`, and `data`.

    Raises:
        UsageError: if a pattern has no files, or names files that do not exist.
    """
    path = source.path
    if source.is_folder:
        folders = [path, *sorted(p for p in path.iterdir() if p.is_dir() and (p.name == DATA or SPLIT.search(p.name)))]
        found = [sorted(p for p in folder.iterdir() if p.suffix.lower() == suffix) for folder in folders]
        return found[0] or [file for files in found for file in files]
    if source.suffix != suffix:
        return []
    return _matched(path) if is_pattern(path) else [path]


def split_of(file: Path, source: Source) -> str:
    """Return the split, in lower case, that the name of a file or its folder below the source tells; empty without."""
    name = str(file.relative_to(source.path)) if source.is_folder else file.name
    words = SPLIT.findall(name.lower())
    return words[0] if words else ""


def _matched(path: Path) -> list[Path]:
    names = expanded(str(path))
    files: list[Path] = []
    missing: list[str] = []
    for name in names:
        found = [name] if Path(name).exists() else sorted(glob.glob(name)) if is_pattern(Path(name)) else []
        files += map(Path, found)
        missing += [name] * (not found)
    if missing:
        named = f"{path}: " if names != [str(path)] else ""
        raise UsageError(f"{named}no such file: {some(missing)}; expected {count(len(names), 'file')} or matches of *")
    return files


def expanded(pattern: str) -> list[str]:
    """Return the names of a pattern with braces, as a shell does: `{000..012}` and `{a,b}`."""
    parts = BRACES.split(pattern)
    return ["".join(chosen) for chosen in product(*(_words(p) if i % 2 else [p] for i, p in enumerate(parts)))]


def _words(text: str) -> list[str]:
    match = RANGE.fullmatch(text)
    if match is None:
        return text.split(",")
    first, last = int(match[1]), int(match[2])
    width = len(match[1]) if match[1].startswith("0") or match[2].startswith("0") else 0
    return [str(number).zfill(width) for number in range(first, last + 1)]
