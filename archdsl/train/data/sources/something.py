"""The JSON lists of Something-Something V2: objects with `id` and `template`, without the latter for the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from archdsl.files import DataError
from archdsl.train.data.classes import read_class_file
from archdsl.train.data.sources.source import Entry, Listed, divided_by_list, stored

if TYPE_CHECKING:
    from archdsl.train.data.sources.source import Source


def recognises(source: Source) -> bool:
    """Return True for JSON."""
    return source.suffix == ".json"


def read(source: Source) -> Listed:
    """Return the videos; `labels.json` beside the list determines the order of classes."""
    entries, origin = divided_by_list(source, _entries)
    name = source.path.name
    labels = source.beside("labels.json", name.replace("train", "labels"), name.replace("validation", "labels"))
    classes = read_class_file(labels) if labels is not None and labels != source.path else None
    return Listed(entries, classes, named=True, origin=origin)


def _entries(source: Source) -> list[Entry]:
    items = source.json
    if not isinstance(items, list):
        form = '[{"id": "1", "template": "Holding [something]"}]'
        raise DataError(f"{source.path}: expected a list of objects, as {form}")
    return [_entry(item, f"{source.path}: entry {n}", source) for n, item in enumerate(cast("list[Any]", items), 1)]


def _entry(item: Any, where: str, source: Source) -> Entry:
    if not isinstance(item, dict) or "id" not in item:
        raise DataError(f"{where}: has no `id`, the name of the video")
    fields = cast("dict[str, Any]", item)
    label = fields.get("template") or fields.get("label")
    if not isinstance(label, str) and (len(fields) > 1 or "test" not in source.path.stem):
        raise DataError(f"{where}: has neither `template` nor `label`, the class of the video")
    path = stored(source.place, f"{fields['id']}.webm", ("", "20bn-something-something-v2/"))
    return Entry(path, (label or "").replace("[", "").replace("]", "").strip(), where)
