"""The lists of EPIC-KITCHENS: segments of long videos or of their frames, with a verb and a noun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.files import DataError, UsageError
from archdsl.train.data.classes import of_columns, read_class_file
from archdsl.train.data.sources.source import Entry, Listed, divided_by_list, stored
from archdsl.train.data.sources.table import Table
from archdsl.train.tasks import HEADS

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
    options = source.options
    columns = options.label_names if options.task == HEADS else (options.label,)
    if options.labelled and not {*LABELS}.issuperset(columns):
        chosen = f"--label {options.label}" if options.label is not None else source.path
        raise UsageError(f"{chosen}: EPIC-KITCHENS has two classes per segment; choose --label verb or --label noun")
    entries, origin = divided_by_list(source, _entries)
    files = {name: source.beside(f"EPIC_100_{name}_classes.csv", f"EPIC_{name}_classes.csv") for name in LABELS}
    named = {name: read_class_file(file) for name in options.label_names if (file := files.get(name)) is not None}
    if options.task != HEADS:
        return Listed(entries, named.get(options.label or ""), origin=origin)
    all_named = of_columns(named) if len(named) == len(columns) else None
    return Listed(entries, all_named, origin=origin, columns=options.label_names)


def _entries(source: Source) -> list[Entry]:
    table = Table(source, COLUMNS)
    entries: list[Entry] = []
    paths: dict[str, str] = {}
    for row in table.rows():
        video, person = row.text("path"), row.text("participant")
        folders = ("", f"{person}/", f"{person}/videos/", f"{person}/rgb_frames/", "rgb_frames/")
        if video not in paths:
            paths[video] = stored(source.place, f"{video}.MP4", folders)
        path, labels = paths[video], tuple(map(row.optional, source.options.label_names))
        label = labels[0] if len(labels) == 1 else ""
        if path.endswith(".MP4") or not row.optional("first"):
            start, end = row.part()
            entries.append(Entry(path, label, row.where, start, end, targets=labels))
        else:
            frames = _number(row.optional("first"), row.where), _number(row.optional("last"), row.where)
            entries.append(Entry(path, label, row.where, frames=frames, targets=labels))
    return entries


def _number(text: str, where: str) -> int:
    if not text.isdecimal():
        raise DataError(f"{where}: {text!r} is not the number of a frame")
    return int(text)
