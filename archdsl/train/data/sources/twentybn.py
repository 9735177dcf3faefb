"""The lists of Something-Something V1 and Jester: lines `id;label`, without a label for the test."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.train.data.classes import read_class_file
from archdsl.train.data.sources.source import Entry, Listed, divided_by_list, stored

if TYPE_CHECKING:
    from archdsl.train.data.sources.source import Source

LIST = re.compile(r"(?P<set>.+)-(train|validation|test)\.csv")  # something-something-v1-train.csv


def recognises(source: Source) -> bool:
    """Return True for a table of `id;label`, or of numbers alone in a file of such a name."""
    fields = source.rows[0][1] if source.rows else []
    if len(fields) == 2 and fields[0].isdecimal():
        return ";" in source.text.splitlines()[source.rows[0][0] - 1]
    return len(fields) == 1 and fields[0].isdecimal() and LIST.fullmatch(source.path.name) is not None


def read(source: Source) -> Listed:
    """Return the videos; `NAME-labels.csv` beside `NAME-train.csv` determines the order of classes."""
    match = LIST.fullmatch(source.path.name)
    labels = source.beside(f"{match['set']}-labels.csv") if match is not None else None
    entries, origin = divided_by_list(source, _entries)
    return Listed(entries, read_class_file(labels) if labels is not None else None, named=True, origin=origin)


def _entries(source: Source) -> list[Entry]:
    match = LIST.fullmatch(source.path.name)
    folders = ("", f"20bn-{match['set']}/" if match is not None else "")
    return [
        Entry(stored(source.place, fields[0], folders), ";".join(fields[1:]), source.where(line))
        for line, fields in source.rows
    ]
