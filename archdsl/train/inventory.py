"""The record of a run's videos, `videos.csv`, and what has changed since."""

from __future__ import annotations

import csv
import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archdsl.train.data.listing import Sample, Split

FILE = "videos.csv"


class Key(NamedTuple):
    """A sample without the place of its folder, as text."""

    video: str  # its path below the folder that all videos share
    label: str
    start: str
    end: str
    frames: str  # first and last number, of a folder of frames


def keys_of(*parts: Sequence[Sample]) -> list[list[Key]]:
    """Return the keys of the samples of each part; paths are relative to the folder that all videos share."""
    folders = {os.path.dirname(sample.path) for samples in parts for sample in samples}
    try:
        root = os.path.commonpath(folders) if folders else ""
    except ValueError:  # relative and absolute paths
        root = ""
    cut = len(root) + 1 if root else 0
    return [
        [Key(s.path[cut:], s.target, str(s.start), str(s.end), str(s.frames)) for s in samples] for samples in parts
    ]


def digest(samples: Sequence[Sample]) -> str:
    """Return a hash of samples and their order."""
    text = "\n".join("\0".join(key) for key in keys_of(samples)[0])
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def record(split: Split, folder: Path) -> None:
    """Write the videos of a run."""
    train, val = keys_of(split.train, split.val)
    with (folder / FILE).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["split", *Key._fields])
        writer.writerows(["train", *key] for key in train)
        writer.writerows(["val", *key] for key in val)


def changes(split: Split, folder: Path) -> dict[str, int]:
    """Return how the videos differ from the record: numbers by name, empty without a difference or a record.

    `learned` are videos for validation that were for training before.
    """
    if not (folder / FILE).exists():
        return {}
    with (folder / FILE).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = [(row[0], Key(*row[1:])) for row in list(csv.reader(file))[1:]]
    before = {name: {key for part, key in rows if part == name} for name in ("train", "val")}
    train, val = keys_of(split.train, split.val)
    now = {"train": set(train), "val": set(val)}
    if before == now:
        return {}
    old, new = before["train"] | before["val"], now["train"] | now["val"]
    numbers = {"removed": len(old - new), "added": len(new - old), "learned": len(now["val"] & before["train"])}
    return {"train": len(split.train), "val": len(split.val), **numbers}
