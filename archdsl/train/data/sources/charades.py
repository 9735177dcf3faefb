"""The lists of Charades, whose videos have several classes at once, or none: `id,…,actions,length`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.files import DataError, UsageError
from archdsl.train.data.classes import Line, class_names
from archdsl.train.data.reading import read_text
from archdsl.train.data.sources.source import Entry, Listed, divided_by_list, stored
from archdsl.train.data.sources.table import Table
from archdsl.train.tasks import MULTILABEL

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.train.data.sources.source import Source

FOLDERS = ("", "Charades_v1_480/", "Charades_v1/", "Charades_v1_rgb/")


def recognises(source: Source) -> bool:
    """Return True for a table with the columns of Charades."""
    return {"id", "scene", "actions"} <= set(source.header)


def read(source: Source) -> Listed:
    """Return the videos, with the classes of all their actions; `Charades_v1_classes.txt` beside the list names them.

    Raises:
        UsageError: for another task.
        DataError: with file and line, for an action that is not `c092 11.90 21.20`.
    """
    if source.options.task not in {None, MULTILABEL}:
        raise UsageError(
            f"--task {source.options.task}: the videos of Charades have several classes each, or none; use --task "
            f"{MULTILABEL}, or write a list of `path label start end` to classify the segments of the actions"
        )
    entries, origin = divided_by_list(source, _entries)
    file = source.beside("Charades_v1_classes.txt")
    names = _names(file) if file is not None else {}
    entries = [e._replace(targets=tuple(names.get(code, code) for code in e.targets)) for e in entries]
    lines = [Line(int(code[1:]), name, str(file)) for code, name in names.items()]
    classes = class_names(file, lines) if file is not None else None
    return Listed(entries, classes, named=True, origin=origin, task=MULTILABEL)


def _names(file: Path) -> dict[str, str]:
    """Return the names of the classes by their codes, of lines `c000 Holding some clothes`."""
    pairs = [(f"{file}:{n}", line.split(maxsplit=1)) for n, line in enumerate(read_text(file).splitlines(), 1)]
    for where, pair in pairs:
        if len(pair) not in {0, 2} or not (not pair or _is_code(pair[0])):
            raise DataError(f"{where}: expected a class, as `c000 Holding some clothes`")
    return {pair[0]: pair[1].strip() for _, pair in pairs if pair}


def _is_code(word: str) -> bool:
    return word.startswith("c") and word[1:].isdecimal()


def _entries(source: Source) -> list[Entry]:
    table = Table(source, {"id": ("id",), "actions": ("actions",)})
    entries: list[Entry] = []
    for row in table.rows():
        path = stored(source.place, f"{row.text('id')}.mp4", FOLDERS)
        entries.append(Entry(path, "", row.where, targets=_codes(row.optional("actions"), row.where)))
    return entries


def _codes(actions: str, where: str) -> tuple[str, ...]:
    """Return the codes of actions, as in `c092 11.90 21.20;c147 0.00 12.60`, each once."""
    parts = [action.split() for action in actions.split(";") if action.strip()]
    wrong = next((" ".join(words) for words in parts if len(words) != 3 or not _is_code(words[0])), None)
    if wrong is not None:
        raise DataError(f"{where}: the action {wrong!r}; expected a class, start and end, as `c092 11.90 21.20`")
    return tuple(dict.fromkeys(words[0] for words in parts))
