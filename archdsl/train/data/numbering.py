"""Indices of classes for the labels of a data set, which are names or whole numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from archdsl.files import DataError
from archdsl.train.data.reading import some
from archdsl.train.tasks import MULTILABEL, REGRESSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.train.data.classes import ClassNames
    from archdsl.train.data.sources.source import Entry, Listed

WHOLE = re.compile(r"[-+]?\d+")
REAL = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?|nan|NaN")
SEVERAL = re.compile(r"\[.*\]|\d+(\s*[,;|\s]\s*\d+)+")  # also a JSON list


class Numbering(NamedTuple):
    """Names of the classes by index, the index of each label, and notes on irregular labels."""

    names: tuple[str, ...]
    numbers: dict[str, int]
    notes: list[str]
    indices: tuple[int, ...] = ()  # the number that stands for each class in lists, if it is another one than its index


def numbering(listed: Listed, known: ClassNames | None, others: Sequence[Entry]) -> Numbering:
    """Return the classes of a source.

    Args:
        listed: the source.
        known: the classes of a file, or of the source; None if the labels are all that is known.
        others: further entries, for validation, which tell how a list counts.

    Raises:
        DataError: with file and line, for a label that is neither a name nor a whole number.
    """
    bare = next((e for e in [*listed.entries, *others] if not e.label), None)
    if bare is not None:
        raise DataError(
            f"{bare.where}: has no class; training and evaluation need a list with classes, in a column named `label`; "
            "--task multilabel also reads `labels`, --task regression `value`"
        )
    if known is not None:
        return _known(listed.entries, known, others)
    if listed.named:
        names = tuple(sorted({e.label for e in listed.entries}))
        return Numbering(names, {name: number for number, name in enumerate(names)}, [])
    for entry in listed.entries:
        _check_label(entry)
    whole = [e for e in listed.entries if WHOLE.fullmatch(e.label)]
    if whole and len(whole) < len(listed.entries):
        name = next(e for e in listed.entries if not WHOLE.fullmatch(e.label))
        raise DataError(
            f"{name.where}: the class is {name.label!r}, but that of {whole[0].where} is the number {whole[0].label}; "
            "expected names or numbers throughout"
        )
    if whole:
        return _whole(whole)
    names = tuple(sorted({e.label for e in listed.entries}))
    return Numbering(names, {name: number for number, name in enumerate(names)}, _several(names))


def _several(names: Sequence[str]) -> list[str]:
    """Return a note if a name consists of others, with separators."""
    known = set(names)
    for name in names:
        parts = [part.strip() for part in re.split(r"[|;,]", name)]
        if len(parts) > 1 and known.issuperset(parts):
            return [f"{name!r} is a class of its own, beside {some(parts)}; --task {MULTILABEL} reads several classes"]
    return []


def _check_label(entry: Entry) -> None:
    label = entry.label
    if SEVERAL.fullmatch(label):
        raise DataError(
            f"{entry.where}: the video has several classes, {label!r}; expected one class per video; "
            f"--task {MULTILABEL} trains on several"
        )
    if REAL.fullmatch(label) and not WHOLE.fullmatch(label):
        raise DataError(
            f"{entry.where}: the class is {label!r}, neither a name nor a whole number; --task {REGRESSION} trains on "
            "numbers"
        )


def _whole(entries: Sequence[Entry]) -> Numbering:
    """Return the classes of a list with class indices: those that occur, in their order."""
    for entry in entries:
        if int(entry.label) < 0:
            raise DataError(f"{entry.where}: the class is {entry.label}; class indices start at 0")
    last = max(entries, key=lambda e: int(e.label))
    indices = sorted({int(e.label) for e in entries})
    if indices[-1] >= 2 * len(indices) + 1000:
        text = f"the class is {last.label}, but the list has only {len(indices)} classes; number them from 0"
        raise DataError(f"{last.where}: {text}, without gaps, or use --task {REGRESSION} if they are amounts")
    missing = [str(n) for n in range(indices[0], indices[-1]) if n not in set(indices)]
    notes = [f"the list counts classes from {indices[0]}"] * (indices[0] != 0)
    notes += [f"without the classes {some(missing)}, of which the list has no videos"] * bool(missing)
    notes = [f"{'; '.join(notes)}: its labels are the classes' names, their order is that of the logits"] * bool(notes)
    numbers = {index: number for number, index in enumerate(indices)}
    return Numbering(tuple(map(str, indices)), {e.label: numbers[int(e.label)] for e in entries}, notes)


def _known(entries: Sequence[Entry], known: ClassNames, others: Sequence[Entry]) -> Numbering:
    """Return known classes; labels are their names, or else their indices."""
    notes = [known.note] * bool(known.note)
    numbers = {name: number for number, name in enumerate(known.names)}
    indices = known.indices
    labels = {e.label for e in entries}
    if labels.isdisjoint(numbers) and any(map(str.isdecimal, labels)):
        indices, note = _counted(known, labels | {e.label for e in others})
        numbers = {str(index): number for number, index in enumerate(indices)}
        numbers.update({label: numbers[str(int(label))] for label in labels if _number(label) in indices})
        notes += [note] * bool(note)
    used = {numbers.get(label) for label in labels}
    unused = [name for number, name in enumerate(known.names) if number not in used]
    notes += [f"no videos of {some(unused)}"] * bool(unused)
    return Numbering(known.names, numbers, notes, () if indices == tuple(range(len(indices))) else indices)


def _counted(known: ClassNames, labels: set[str]) -> tuple[tuple[int, ...], str]:
    """Return the index of each class, and a note if a list counts the lines of a file from 1."""
    indices = {_number(label) for label in labels} - {None}
    count = len(known.names)
    if known.explicit or 0 in indices or count not in indices or any(i is not None and i > count for i in indices):
        return known.indices, ""
    return tuple(range(1, count + 1)), f"the list counts classes from 1: class 1 is {known.names[0]!r}"


def _number(label: str) -> int | None:
    return int(label) if label.isdecimal() else None
