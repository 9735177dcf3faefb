"""The lists of EPIC-KITCHENS: segments of long videos or of their frames, with a verb and a noun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.files import DataError, UsageError
from archdsl.train.data.classes import read_class_file
from archdsl.train.data.sources.source import Entry, Listed, divided_by_list, stored
from archdsl.train.data.sources.table import Table

if TYPE_CHECKING:
    from archdsl.train.data.sources.source import Source

LABELS = ("verb", "noun")
COLUMNS = {
    "participant": ("participant_id",), "path": ("video_id",), "verb": ("verb_class",), "noun": ("noun_class",),
    "start": ("start_timestamp",), "end": ("stop_timestamp",), "first": ("start_frame",), "last": ("stop_frame",),
}  # fmt: skip


def recognises(source: Source) -> bool:
    """Return True for a table with the columns of EPIC-KITCHENS."""
    return {"participant_id", "video_id", "start_timestamp"} <= set(source.header)


def read(source: Source) -> Listed:
    """Return the segments with their verbs or nouns; `EPIC_100_verb_classes.csv` beside the list names them."""
    label = source.options.label
    if label not in LABELS and source.options.labelled:
        chosen = f"--label {label}" if label is not None else source.path
        raise UsageError(f"{chosen}: EPIC-KITCHENS has two classes per segment; choose --label verb or --label noun")
    entries, origin = divided_by_list(source, _entries)
    names = source.beside(f"EPIC_100_{label}_classes.csv", f"EPIC_{label}_classes.csv")
    return Listed(entries, read_class_file(names) if names is not None else None, origin=origin)


def _entries(source: Source) -> list[Entry]:
    table = Table(source, COLUMNS)
    entries: list[Entry] = []
    paths: dict[str, str] = {}
    for row in table.rows():
        video, person = row.text("path"), row.text("participant")
        folders = ("", f"{person}/", f"{person}/videos/", f"{person}/rgb_frames/", "rgb_frames/")
        if video not in paths:
            paths[video] = stored(source.place, f"{video}.MP4", folders)
        path, label = paths[video], row.optional(source.options.label or "")
        if path.endswith(".MP4") or not row.optional("first"):
            start, end = row.part()
            entries.append(Entry(path, label, row.where, start, end))
        else:
            frames = _number(row.optional("first"), row.where), _number(row.optional("last"), row.where)
            entries.append(Entry(path, label, row.where, frames=frames))
    return entries


def _number(text: str, where: str) -> int:
    if not text.isdecimal():
        raise DataError(f"{where}: {text!r} is not the number of a frame")
    return int(text)
