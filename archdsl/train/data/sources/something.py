"""The JSON lists of Something-Something V2: objects with `id` and `template`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from archdsl.files import DataError
from archdsl.train.data.classes import read_class_file
from archdsl.train.data.sources.source import Entry, Listed, existing

if TYPE_CHECKING:
    from archdsl.train.data.sources.source import Source


def recognises(source: Source) -> bool:
    """Return True for JSON."""
    return source.suffix == ".json"


def read(source: Source) -> Listed:
    """Return the videos; `labels.json` beside the list determines the order of classes."""
    items = source.json
    if not isinstance(items, list):
        form = '[{"id": "1", "template": "Holding [something]"}]'
        raise DataError(f"{source.path}: expected a list of objects, as {form}")
    entries = [_entry(item, f"{source.path}: entry {n}", source) for n, item in enumerate(cast("list[Any]", items), 1)]
    labels = source.beside("labels.json")
    return Listed(entries, read_class_file(labels) if labels is not None else None)


def _entry(item: Any, where: str, source: Source) -> Entry:
    if not isinstance(item, dict) or "id" not in item:
        raise DataError(f"{where}: has no `id`, the name of the video")
    fields = cast("dict[str, Any]", item)
    label = fields.get("template") or fields.get("label")
    if not isinstance(label, str):
        raise DataError(f"{where}: has neither `template` nor `label`, the class of the video")
    path = existing(source.place, [f"{fields['id']}{suffix}" for suffix in (".webm", ".mp4", ".avi")])
    return Entry(path, label.replace("[", "").replace("]", "").strip(), where)
