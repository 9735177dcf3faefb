"""The JSON lists of Diving48: objects with `vid_name` and `label`, an index into `Diving48_vocab.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from archdsl.files import DataError
from archdsl.train.data.classes import read_class_file
from archdsl.train.data.sources.source import Entry, Listed, divided_by_list, stored

if TYPE_CHECKING:
    from archdsl.train.data.sources.source import Source


def recognises(source: Source) -> bool:
    """Return True for a JSON list of objects with `vid_name`."""
    data = source.json
    items = cast("list[Any]", data) if isinstance(data, list) else []
    return bool(items) and isinstance(items[0], dict) and "vid_name" in items[0]


def read(source: Source) -> Listed:
    """Return the videos, which are cut to the dives."""
    names = source.beside("Diving48_vocab.json")
    entries, origin = divided_by_list(source, _entries)
    return Listed(entries, read_class_file(names) if names is not None else None, origin=origin)


def _entries(source: Source) -> list[Entry]:
    entries: list[Entry] = []
    for number, item in enumerate(cast("list[Any]", source.json), 1):
        where = f"{source.path}: entry {number}"
        if not isinstance(item, dict) or not {"vid_name", "label"} <= cast("dict[str, Any]", item).keys():
            raise DataError(f"{where}: has no `vid_name` or no `label`")
        fields = cast("dict[str, Any]", item)
        entries.append(
            Entry(stored(source.place, f"{fields['vid_name']}.mp4", ("", "rgb/")), str(fields["label"]), where)
        )
    return entries
