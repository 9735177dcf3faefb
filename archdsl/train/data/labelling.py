"""Samples of the entries of a source: classes by index, or numbers, by the task."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from archdsl.files import DataError, UsageError
from archdsl.train.data.classes import ClassNames, of_column
from archdsl.train.data.numbering import Numbering, numbering
from archdsl.train.data.reading import count
from archdsl.train.data.sample import Sample
from archdsl.train.tasks import HEADS, MULTILABEL, PRETRAIN, REGRESSION, of_head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from archdsl.train.data.sources.source import Entry, Listed

SEPARATORS = "|;,"  # between several classes in a field, the first one that occurs; else spaces between indices
TRUE, FALSE = ("1", "1.0", "true"), ("0", "0.0", "false", "")  # in columns of classes, in lower case


class Labelling(NamedTuple):
    """Names of a source's classes or targets, the sample of each entry, and notes on irregular labels."""

    names: tuple[str, ...]
    sample: Callable[[Entry], Sample]
    notes: list[str]
    indices: tuple[int, ...] = ()  # the number of each class in lists, if it is another one than its index


def labelling(listed: Listed, known: ClassNames | None, others: Sequence[Entry], data: Path) -> Labelling:
    """Return the labels of a source.

    Args:
        listed: the source, with its task.
        known: its classes, of a file or of a run; None if the labels are all that is known.
        others: further entries, for validation.
        data: the source, for messages.

    Raises:
        UsageError: if classes are named for a regression.
        DataError: with file and line, for labels that do not fit the task.
    """
    if listed.task == PRETRAIN:
        return Labelling((), _sample, [])
    if listed.task == REGRESSION:
        return _regression(listed, known)
    if listed.task == MULTILABEL:
        return _several(listed, known, others, data)
    if listed.task == HEADS:
        return _heads(listed, known, others, data)
    classed = numbering(listed, known, others)

    def sample(entry: Entry) -> Sample:
        return _sample(entry, _index(entry, entry.label, classed.numbers, data))

    return Labelling(classed.names, sample, classed.notes, classed.indices)


def strata(samples: Sequence[Sample]) -> list[int]:
    """Return the class of each sample for a division: of several, the one with the fewest samples; −1 without any."""
    counts = Counter(label for sample in samples for label in sample.labels)
    return [min(s.labels, key=lambda label: (counts[label], label)) if s.labels else s.label for s in samples]


def _sample(entry: Entry, label: int = -1, labels: tuple[int, ...] = (), numbers: tuple[float, ...] = ()) -> Sample:
    place = entry.path, label, entry.start, entry.end, entry.frames, entry.stored
    return Sample(*place, labels, numbers)


# --- classes ---------------------------------------------------------------------------------------------------------


def _index(entry: Entry, label: str, numbers: Mapping[str, int], data: Path) -> int:
    """Return the index of a class.

    Raises:
        DataError: with file and line, if it is unknown.
    """
    if label in numbers:
        return numbers[label]
    raise DataError(f"{entry.where}: {_unknown(label, list(numbers), data)}")


def _unknown(label: str, classes: Sequence[str], data: Path) -> str:
    from difflib import get_close_matches

    if classes == [str(number) for number in range(len(classes))]:
        return f"the class is {label}; expected 0 to {len(classes) - 1}"
    close = get_close_matches(label, classes, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"{data} has {', '.join(classes[:5])}"
    return f"unknown class {label!r}; {hint}" + ", …" * (not close and len(classes) > 5)


def _several(listed: Listed, known: ClassNames | None, others: Sequence[Entry], data: Path) -> Labelling:
    """Return the labels of videos with several classes, or none."""
    if len(listed.columns) > 1:
        known = known or ClassNames(listed.columns, tuple(range(len(listed.columns))))
        parts = partial(_marked, columns=listed.columns)
    elif listed.named:
        parts = _texts
    else:
        texts = [text for entry in (*listed.entries, *others) for text in _texts(entry)]
        parts = partial(_separated, separator=next((s for s in SEPARATORS if any(s in t for t in texts)), ""))
    single, other = ([e._replace(label=label) for e in all_ for label in parts(e)] for all_ in (listed.entries, others))
    if not single:
        raise DataError(
            f"{listed.entries[0].where}: no video has a class; expected classes in a column named `label`, or --label"
        )
    classed = numbering(listed._replace(entries=single), known, other)
    bare = sum(not parts(entry) for entry in listed.entries)
    notes = [f"{count(bare, 'video')} without any class"] * bool(bare)

    def sample(entry: Entry) -> Sample:
        return _sample(entry, labels=tuple(sorted({_index(entry, p, classed.numbers, data) for p in parts(entry)})))

    return Labelling(classed.names, sample, [*notes, *classed.notes], classed.indices)


def _heads(listed: Listed, known: ClassNames | None, others: Sequence[Entry], data: Path) -> Labelling:
    """Return the labels of videos with a class for each of several heads."""
    if not listed.columns:
        raise DataError(f"{data}: has no column of classes for each head; expected a list with a header, and --label")
    if known is not None and known.file:
        raise UsageError(f"{known.file}: names the classes of one head, and there are several; omit it")
    parts: list[Numbering] = []
    for number, column in enumerate(listed.columns):
        own, other = ([e._replace(label=e.targets[number]) for e in entries] for entries in (listed.entries, others))
        parts.append(numbering(listed._replace(entries=own), known and of_column(known, column), other))
    begins = [sum(len(part.names) for part in parts[:number]) for number in range(len(parts))]

    def sample(entry: Entry) -> Sample:
        each = zip(begins, parts, entry.targets, strict=True)
        return _sample(entry, labels=tuple(begin + _index(entry, text, p.numbers, data) for begin, p, text in each))

    columns = list(zip(listed.columns, parts, strict=True))
    names = tuple(of_head(column, name) for column, part in columns for name in part.names)
    indices = tuple(index for part in parts for index in part.indices or range(len(part.names)))
    notes = [f"{column}: {note}" for column, part in columns for note in part.notes]
    return Labelling(names, sample, notes, indices if any(part.indices for part in parts) else ())


def _texts(entry: Entry) -> tuple[str, ...]:
    return tuple(filter(None, entry.targets or (entry.label,)))


def _separated(entry: Entry, separator: str) -> tuple[str, ...]:
    """Return the classes in the fields of an entry."""
    texts = [text.strip("[]") for text in _texts(entry)]
    if separator:
        texts = [part for text in texts for part in text.split(separator)]
    elif all(re.fullmatch(r"[\d\s]*", text) for text in texts):
        texts = [part for text in texts for part in text.split()]
    return tuple(filter(None, (text.strip(" '\"") for text in texts)))


def _marked(entry: Entry, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the columns that hold 1.

    Raises:
        DataError: with file and line, if a column holds neither 1 nor 0.
    """
    for name, text in zip(columns, entry.targets, strict=True):
        if text.lower() not in (*TRUE, *FALSE):
            raise DataError(f"{entry.where}: the column {name} is {text!r}; expected 1 or 0 in each of several columns")
    return tuple(n for n, text in zip(columns, entry.targets, strict=True) if text.lower() in TRUE)


# --- numbers ---------------------------------------------------------------------------------------------------------


def _regression(listed: Listed, known: ClassNames | None) -> Labelling:
    """Return the numbers of videos."""
    if known is not None and known.file:
        raise UsageError(f"{known.file}: names classes, but --task {REGRESSION} has numbers; omit one of them")
    first = listed.entries[0]
    size = len(first.targets or (first.label,))
    columns = listed.columns or (("target",) if size == 1 else tuple(f"target {n}" for n in range(1, size + 1)))
    names = columns if known is None else known.names
    if len(names) != len(columns):
        raise DataError(
            f"{first.where}: has {count(len(columns), 'target')}; expected {len(names)}: {', '.join(names)}"
        )

    def sample(entry: Entry) -> Sample:
        texts = entry.targets or (entry.label,)
        if len(texts) != len(names):
            raise DataError(f"{entry.where}: has {count(len(texts), 'target')}, but {first.where} has {len(names)}")
        return _sample(
            entry, numbers=tuple(_number(text, name, entry.where) for text, name in zip(texts, names, strict=True))
        )

    return Labelling(names, sample, [])


def _number(text: str, name: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        problem = f"is {text!r}" if text else "is empty"
        raise DataError(
            f"{where}: the target {name!r} {problem}; --task {REGRESSION} needs a list with a number for each video, "
            "in a column named `label`, or in columns that --label names"
        )
    return number
