"""The lists of Kinetics: `label,youtube_id,time_start,time_end,split`; the files are cut to that part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.train.data.sources.source import Entry, Listed, stored
from archdsl.train.data.sources.table import Table

if TYPE_CHECKING:
    from archdsl.train.data.sources.source import Source


def recognises(source: Source) -> bool:
    """Return True for a table with the column `youtube_id`."""
    return "youtube_id" in source.header


def read(source: Source) -> Listed:
    """Return the videos of a list of Kinetics."""
    table = Table(source, {"id": ("youtube_id",), "label": ("label",), **Table.PARTS})
    table.require("start", "the start: youtube_id needs time_start and time_end, which are part of the file's name")
    table.require("end", "the end: youtube_id needs time_start and time_end, which are part of the file's name")
    entries: list[Entry] = []
    for row in table.rows():
        label = row.optional("label")
        file = f"{row.text('id')}_{int(row.seconds('start')):06d}_{int(row.seconds('end')):06d}.mp4"
        folders = ("", f"{label}/", f"{label.replace(' ', '_')}/")
        path = stored(source.place, file, folders)
        entries.append(Entry(path, label, row.where, split=row.optional("split").lower()))
    return Listed(entries)
