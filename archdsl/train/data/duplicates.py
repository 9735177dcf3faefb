"""Videos that are both in the training and in the validation set, under different names."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from archdsl.train.data.listing import Split
    from archdsl.train.data.stored import Stored

    Videos = Mapping[str, Stored | None]

PIECE = 2**20  # bytes


def duplicates(split: Split) -> tuple[tuple[str, str], ...]:
    """Return pairs of a path for training and one for validation that hold the same bytes.

    Only files of equal size are read. Folders of frames are equal if all their frames are.
    """
    videos: Videos = {s.path: s.stored for s in split.train + split.val}
    sizes = [_by_size(sorted({s.path for s in samples}), videos) for samples in (split.train, split.val)]
    common = sizes[0].keys() & sizes[1].keys()
    return tuple(
        (one, other)
        for size in sorted(common)
        for digest, ones in _by_content(sizes[0][size], videos).items()
        for other in _by_content(sizes[1][size], videos).get(digest, [])
        for one in ones
        if one != other
    )


def _files(path: str) -> list[str]:
    """Return a file, or the files of a folder of frames."""
    return sorted(entry.path for entry in os.scandir(path) if entry.is_file()) if os.path.isdir(path) else [path]


def _by_size(paths: Iterable[str], videos: Videos) -> dict[tuple[int, int], list[str]]:
    """Return paths by their number of files and bytes; empty and missing files are left out."""
    found: dict[tuple[int, int], list[str]] = {}
    for path in paths:
        stored = videos[path]
        try:
            files = _files(path) if stored is None else [path]
            size = sum(os.stat(file).st_size for file in files) if stored is None else stored.size
        except (OSError, ValueError):  # reported by the check of each video
            continue
        if size:
            found.setdefault((len(files), size), []).append(path)
    return found


def _by_content(paths: Sequence[str], videos: Videos) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {}
    for path in paths:
        digest = hashlib.blake2b()
        try:
            for piece in _pieces(path, videos[path]):
                digest.update(piece)
        except (OSError, ValueError):
            continue
        found.setdefault(digest.digest(), []).append(path)
    return found


def _pieces(path: str, stored: Stored | None) -> Iterator[bytes]:
    for name in _files(path) if stored is None else [path]:
        with open(name, "rb") if stored is None else stored.open() as file:
            while piece := file.read(PIECE):
                yield piece
