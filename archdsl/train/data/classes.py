"""Files of class names: a name per line, pairs of index and name in either order, or JSON."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from archdsl.files import DataError, UsageError
from archdsl.train.data.reading import parse_json, read_text, some
from archdsl.train.tasks import by_head, of_head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Words of a header, the better ones first.
INDICES = ("id", "index", "idx", "class_index", "class_id", "label_id", "label", "number")
NAMES = ("name", "class_name", "label_name", "key", "class", "label", "category", "action", "verb", "noun")
HEADERS = ("name", "names", "class", "classes", "class_name", "label", "labels")  # of a single column
FORM = "expected a name per line, `index name` or `name index` in each line, or JSON: a list, or a map either way"


@dataclass(frozen=True)
class ClassNames:
    """The names of classes in the order of their indices, with the indices that a file gives them."""

    names: tuple[str, ...]
    indices: tuple[int, ...]
    explicit: bool = False  # the file states the indices
    note: str = ""
    file: str = ""


@dataclass(frozen=True)
class Line:
    """A class in a file: its index, if stated, its name, and its place for messages."""

    index: int | None
    name: str
    where: str


def read_class_file(file: Path) -> ClassNames:
    """Read the names of classes, with their indices.

    Raises:
        CommandError: if the file cannot be read, is in none of the forms, or names or indices occur twice.
    """
    if not file.is_file():
        raise UsageError(f"{file}: no such file; expected a file with the name of one class per line")
    text = read_text(file)
    note = ""
    if file.suffix.lower() == ".json" or text.lstrip().startswith(("{", "[")):
        lines = _json_lines(file, parse_json(file, text))
    else:
        lines, note = _text_lines(file, text)
    return class_names(file, lines, note)


def class_names(file: Path, lines: Sequence[Line], note: str = "") -> ClassNames:
    """Return the classes of a file in the order of their indices; the note describes irregular indices.

    Raises:
        DataError: if there are fewer than two classes, or a name or an index occurs twice.
    """
    if not lines:
        raise DataError(f"{file}: is empty; expected the name of one class per line")
    names: set[str] = set()
    indices: set[int] = set()
    for line in lines:
        if line.name in names:
            raise DataError(f"{line.where}: {line.name!r} occurs twice; expected one line per class")
        if line.index in indices:
            raise DataError(f"{line.where}: the index {line.index} occurs twice; expected one class per index")
        names.add(line.name)
        indices.update([] if line.index is None else [line.index])
    if len(lines) == 1:
        raise DataError(f"{file}: has one class, {lines[0].name!r}; training needs at least two classes")
    if lines[0].index is None:
        return ClassNames(tuple(line.name for line in lines), tuple(range(len(lines))), note=note, file=str(file))
    pairs = sorted((line.index or 0, line.name) for line in lines)
    note = "; ".join(filter(None, [note, _irregular(file, [index for index, _ in pairs])]))
    return ClassNames(tuple(n for _, n in pairs), tuple(i for i, _ in pairs), True, note, str(file))


def of_columns(parts: Mapping[str, ClassNames]) -> ClassNames:
    """Return the classes of several columns, each behind the name of its column."""
    names = tuple(of_head(column, name) for column, part in parts.items() for name in part.names)
    indices = tuple(index for part in parts.values() for index in part.indices)
    notes = "; ".join(part.note for part in parts.values() if part.note)
    return ClassNames(names, indices, all(part.explicit for part in parts.values()), notes)


def of_column(known: ClassNames, column: str) -> ClassNames:
    """Return the classes of one of several columns; without indices that are known, they count from 0."""
    names = by_head(known.names).get(column, ())
    places = [known.names.index(of_head(column, name)) for name in names]
    indices = tuple(known.indices[place] for place in places) if known.explicit else tuple(range(len(names)))
    return ClassNames(names, indices, known.explicit)


def _irregular(file: Path, indices: Sequence[int]) -> str:
    """Return a note on sorted indices that do not count from 0 without gaps."""
    first, missing = indices[0], sorted(set(range(indices[0], indices[-1])) - set(indices))
    notes = [f"{file.name} counts classes from {first}"] * (first != 0)
    notes += [f"{file.name} has no class {some([str(n) for n in missing])}"] * bool(missing)
    return "; ".join(notes)


# --- text ------------------------------------------------------------------------------------------------------------


def _text_lines(file: Path, text: str) -> tuple[list[Line], str]:
    """Return the classes in lines of text, and a note if the first line is a header."""
    lines = [(f"{file}:{number}", line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    while lines and not lines[-1][1]:
        lines.pop()
    if not lines:
        return [], ""
    header = _header(lines)
    if header is not None:
        columns = len(lines[0][1].replace(";", ",").replace("\t", ",").split(","))  # a single word could be a class
        return header, f"{file}: line 1, {lines[0][1]!r}, is read as a header" * (columns == 1)
    for note, body in (("", lines), (f"{file}: line 1, {lines[0][1]!r}, is read as a header", lines[1:])):
        pairs = _pairs(body) if len(body) > 1 else None
        if pairs is not None:
            return pairs, note
    return _plain(lines), ""


def _plain(lines: Sequence[tuple[str, str]]) -> list[Line]:
    """Return the classes of lines that are names.

    Raises:
        DataError: if most lines have an index, or one is empty.
    """
    numbered = [bool(re.match(r"\d+[\s,;:]+\S", line)) for _, line in lines]
    if len(lines) / 2 < sum(numbered) < len(lines):
        where, line = lines[numbered.index(False)]
        raise DataError(f"{where}: {line!r} has no index, unlike the other lines; {FORM}")
    for where, line in lines:
        if not line:
            raise DataError(f"{where}: empty line; expected the name of a class")
    return [Line(None, _unquoted(line), where) for where, line in lines]


def _header(lines: Sequence[tuple[str, str]]) -> list[Line] | None:
    """Return the classes of a table whose first line is a header with known words; otherwise None."""
    delimiter = next((d for d in "\t;," if d in lines[0][1]), ",")
    rows = list(csv.reader([line for _, line in lines], delimiter=delimiter, skipinitialspace=True))
    words = [field.strip().lower().replace(" ", "_") for field in rows[0]]
    if len(lines) < 3 or not (words[0] in HEADERS if len(words) == 1 else {*INDICES, *NAMES} & set(words)):
        return None
    if len({len(row) for row in rows}) > 1:
        return None

    def column(known: Sequence[str], whole: bool) -> int | None:
        fitting = [i for i in range(len(words)) if all(r[i].strip().isdecimal() for r in rows[1:]) == whole]
        return next((i for word in known for i in fitting if words[i] == word), None)

    index, name = column(INDICES, True), column(NAMES, False)
    if name is None:
        return None
    return [
        Line(int(row[index]) if index is not None else None, row[name].strip(), where)
        for (where, _), row in zip(lines[1:], rows[1:], strict=True)
    ]


def _pairs(lines: Sequence[tuple[str, str]]) -> list[Line] | None:
    """Return the classes of lines `index name` or `name index`; otherwise None."""
    first = [re.fullmatch(r"(?P<index>\d+)[\s,;:]+(?P<name>\S.*)", line) for _, line in lines]
    last = [re.fullmatch(r"(?P<name>.*?\S)[\s,;:]+(?P<index>\d+)", line) for _, line in lines]
    for matches in (first, last):
        found = [m for m in matches if m is not None]
        if len(found) < len(lines):
            continue
        pairs = [Line(int(m["index"]), _unquoted(m["name"]), at) for m, (at, _) in zip(found, lines, strict=True)]
        if matches is first or len({p.name for p in pairs}) == len({p.index for p in pairs}) == len(pairs):
            return pairs  # names such as `class 1`, `class 2` end with a number that is part of them
    return None


def _unquoted(name: str) -> str:
    name = name.strip()
    quoted = len(name) > 1 and name[0] == name[-1] == '"'
    return name[1:-1].replace('""', '"').strip() if quoted else name


# --- JSON ------------------------------------------------------------------------------------------------------------


def _json_lines(file: Path, data: Any) -> list[Line]:
    """Return the classes of a JSON list, or of a map from index to name or from name to index."""
    if isinstance(data, list):
        names = [_json_name(item) for item in cast("list[Any]", data)]
        if names and None not in names:
            return [Line(None, name or "", f"{file}: entry {n}") for n, name in enumerate(names, 1)]
    if isinstance(data, dict):
        items = cast("Mapping[str, Any]", data).items()
        texts = [(key, _json_name(value) or str(value)) for key, value in items]
        by_index = all(key.isdecimal() for key, _ in texts)
        by_name = all(value.isdecimal() for _, value in texts)
        if by_index and by_name:
            raise DataError(f"{file}: maps numbers to numbers; expected a map between classes and indices")
        if by_index and all(_json_name(value) for _, value in items):
            return [Line(int(key), _unquoted(value), f"{file}: entry {key!r}") for key, value in texts]
        if by_name:
            return [Line(int(value), _unquoted(key), f"{file}: entry {key!r}") for key, value in texts]
    raise DataError(f'{file}: holds {_kind(data)}; {FORM}, as {{"Holding something": "0"}}')


def _json_name(item: Any) -> str | None:
    """Return the name of a class: a string, or the parts of one."""
    if isinstance(item, str):
        return item.strip() or None
    if isinstance(item, list) and item and all(isinstance(part, str) for part in cast("list[Any]", item)):
        return " ".join(cast("list[str]", item))  # Diving48_vocab.json
    return None


def _kind(data: Any) -> str:
    if isinstance(data, list):
        return "a list of other things than names"
    return "a map that is not one between names and indices" if isinstance(data, dict) else "neither a list nor a map"
