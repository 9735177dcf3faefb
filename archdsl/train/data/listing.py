"""Data sets: videos, their classes, and the split into training and validation.

The forms of folders and lists are in `archdsl.train.data.sources`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.files import DataError, UsageError
from archdsl.train.data.classes import read_class_file
from archdsl.train.data.division import divided, grouped
from archdsl.train.data.frames import has_frames
from archdsl.train.data.labelling import labelling, strata
from archdsl.train.data.reading import count
from archdsl.train.data.sample import Sample, Split
from archdsl.train.data.sources import is_archive, read_source
from archdsl.train.data.sources.source import SUFFIXES, Options, Source
from archdsl.train.tasks import CLASSIFICATION, HEADS, MULTILABEL, PRETRAIN, REGRESSION, by_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.train.data.classes import ClassNames
    from archdsl.train.data.sources.source import Entry, Listed

LISTS = (".csv", ".tsv", ".txt", ".json")
TRAIN = ("train", "training")
VAL = ("val", "validation", "validate", "valid", "test")
# Kinds of videos of which a random division takes the same share, by the task.
OF_SHARE = {
    CLASSIFICATION: "each class",
    MULTILABEL: "each class, by the rarest one of a video",
    REGRESSION: "the videos",
    HEADS: "each class, by the rarest one of a video",
    PRETRAIN: "the videos",
}


def read_split(  # noqa: PLR0913, PLR0917  # options of the command line
    data: Path,
    val: Path | None = None,
    root: Path | None = None,
    classes: Path | ClassNames | None = None,
    val_share: float = 0.2,
    seed: int = 0,
    *,
    label: str | None = None,
    fold: int | None = None,
    group: str | None = None,
    task: str | None = None,
    no_val: bool = False,
) -> Split:
    """Read the videos of a folder or list, for training and for validation.

    Args:
        data: a folder with a subfolder per class, a folder with `train` and `val` of this form, or a list.
        val: a folder or list for validation. By default the split in `data`, or else a random share of each class.
        root: folder that paths in lists are relative to; by default the folder of the list.
        classes: a file with the names of the classes (`read_class_file`), or the classes.
        val_share: the share of each class for validation.
        seed: seed of the random split, which does not depend on the order of files.
        label: column of the classes, of a list with several; for other tasks than classification also several, with
            commas between them.
        fold: number of the split, of UCF101 and HMDB51; by default the first one.
        group: regular expression; videos whose paths have the same match are on one side of the random split.
        task: one of `archdsl.train.tasks.TASKS`; by default that of the source.
        no_val: train on all videos but those that the source has for validation or testing, which are not used.

    Raises:
        UsageError: if a file or folder does not exist.
        DataError: with file and line, if there are no videos, or the source is inconsistent.
    """
    if not 0 < val_share < 1:
        raise UsageError(f"the share for validation is {val_share:g}; expected a number between 0 and 1")
    options = Options(root, label, fold, group, task != PRETRAIN, task)
    known = read_class_file(classes) if isinstance(classes, Path) else classes
    listed, other, how = _sources(data, val, options)
    _check_used(options, data, listed, other)
    known = known or listed.classes
    labels = labelling(listed, known, other.entries if other is not None else (), data)
    if known is None and listed.task == CLASSIFICATION and len(labels.names) == 1:  # a test may have one of them
        raise DataError(f"{data}: all videos are of the class {labels.names[0]!r}; training needs at least two classes")
    samples = tuple(map(labels.sample, listed.entries))
    notes = [listed.note]
    if no_val:
        train, validation, how = samples, (), _unused(other, how)
    elif other is None:
        entries, note = grouped(listed.entries, group)
        notes.append(note)
        train, validation = _halves(entries, samples, val_share, seed)
        how = f"{val_share:.0%} of {OF_SHARE[listed.task]}, at random with seed {seed}"
    else:
        train, validation = samples, tuple(map(labels.sample, other.entries))
        notes += [other.note] * (other.note != listed.note)
    note = f"{len(train)} videos for training, {len(validation)} for validation ({how})"
    text = "; ".join([f"{note}{_counted(labels.names, listed.task)}", *filter(None, notes), *labels.notes])
    unused = _without_effect(listed, other)
    return Split(train, validation, labels.names, text, labels.indices, listed.task, unused)


def _unused(other: Listed | None, how: str) -> str:
    """Return the reason why no videos are for validation, with the number of those that are not used."""
    return "--no-val" if other is None else f"--no-val, {len(other.entries)} {how} are not used"


def _counted(names: Sequence[str], task: str) -> str:
    """Return the number of classes, or the names of targets, as text behind a comma."""
    if task == PRETRAIN:
        return ""
    if task == HEADS:
        return "".join(f", {len(own)} classes of {head}" for head, own in by_head(names).items())
    return f", {count(len(names), 'target')}: {', '.join(names)}" if task == REGRESSION else f", {len(names)} classes"


def read_tested(  # noqa: PLR0913  # options of the command line
    data: Path,
    root: Path | None = None,
    classes: Path | ClassNames | None = None,
    *,
    label: str | None = None,
    fold: int | None = None,
    task: str | None = None,
) -> Split:
    """Read the videos of a folder or list for a test: those of its split for validation or testing, else all of them.

    Args:
        data: a folder or list, as for `read_split`.
        root: folder that paths in lists are relative to; by default the folder of the list.
        classes: a file with the names of the classes, or the classes.
        label: as for `read_split`.
        fold: as for `read_split`.
        task: as for `read_split`.

    Returns:
        The videos in `val`, and `train` empty.

    Raises:
        UsageError: if a file or folder does not exist.
        DataError: with file and line, if there are no videos, or the source is inconsistent.
    """
    listed, how = _tested(data, Options(root, label, fold, labelled=task != PRETRAIN, task=task))
    known = read_class_file(classes) if isinstance(classes, Path) else classes
    labels = labelling(listed, known or listed.classes, (), data)
    samples = tuple(map(labels.sample, listed.entries))
    note = f"{count(len(samples), 'video')} ({how})"
    note = "; ".join(filter(None, [note, listed.note]))
    return Split((), samples, labels.names, note, labels.indices, listed.task)


def read_unlabelled(data: Path, root: Path | None = None, task: str | None = None) -> tuple[Sample, ...]:
    """Read the videos of a video, a folder of frames, a folder or a list, without their classes (−1).

    The task decides how the fields of a list without a header are read.

    Raises:
        UsageError: if a folder that is needed does not exist.
        DataError: with file and line, if a folder or list has no videos, or is inconsistent.
    """
    if data.is_dir():
        if has_frames(data):
            return (Sample(str(data), -1),)
        loose = sorted(p for p in data.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
        if any(p.is_file() for p in loose):
            return tuple(Sample(str(p), -1) for p in loose if p.is_file())
    elif not is_archive(data) and (data.suffix.lower() not in LISTS or not data.is_file()):
        return (Sample(str(data), -1),)
    entries = read_source(Source(data, Options(root, labelled=False, task=task))).entries
    return tuple(Sample(e.path, -1, e.start, e.end, e.frames, e.stored) for e in entries)


def without_classes(data: Path, root: Path | None = None) -> Split | None:
    """Return the videos of a folder or list without classes, for checks only; None if it has classes."""
    if data.is_dir():
        loose = not has_frames(data) and any(p.suffix.lower() in SUFFIXES for p in data.iterdir() if p.is_file())
        samples = read_unlabelled(data, root) if loose else ()
    elif is_archive(data) or (data.is_file() and data.suffix.lower() in LISTS):
        entries = read_source(Source(data, Options(root, labelled=False))).entries
        bare = not any(e.label or e.targets for e in entries)
        samples = read_unlabelled(data, root) if bare else ()
    else:
        samples = ()
    return Split(samples, (), (), f"{count(len(samples), 'video')}, without classes") if samples else None


# --- splits ----------------------------------------------------------------------------------------------------------


def _used(listed: Listed, other: Listed | None) -> set[str]:
    """Return the options that the forms of the sources use."""
    return {*listed.options, *(other.options if other is not None else ())}


def _without_effect(listed: Listed, other: Listed | None) -> tuple[str, ...]:
    """Return the options without an effect that runs of earlier versions may have."""
    root = () if "root" in _used(listed, other) else ("root",)
    return root if other is None else (*root, "val_share")


def _check_used(options: Options, data: Path, listed: Listed, other: Listed | None) -> None:
    """Raise UsageError for an option that has no effect."""
    used = _used(listed, other)
    kinds = {"label": "a list whose header names its columns", "fold": "the splits of UCF101 or HMDB51"}
    for name, kind in kinds.items():
        value = getattr(options, name)
        if name == "label" and options.task == HEADS and name not in used:
            raise DataError(f"{data}: several heads need a list whose header names columns of classes: {value}")
        if value is not None and name not in used:
            raise UsageError(f"--{name} {value}: is for {kind}, and {data} is none; omit it")
    if options.group is not None and other is not None:
        raise UsageError(
            f"--group {options.group}: is for a random split, and the videos for validation are given; omit it"
        )


def _sources(data: Path, val: Path | None, options: Options) -> tuple[Listed, Listed | None, str]:
    """Return the videos for training and for validation, None for a random share, and the origin of the latter."""
    parts = _parts(data) if data.is_dir() else None
    if val is not None:
        listed = read_source(Source(parts[0] if parts is not None else data, options))
        return _part(listed, TRAIN), _tested(val, options)[0], f"from {val}"
    if parts is not None:
        listed, other = (read_source(Source(part, options)) for part in parts)
        return listed, other, f"from {parts[1].name}/"
    listed = read_source(Source(data, options))
    return *_by_column(listed), listed.origin


def _tested(data: Path, options: Options) -> tuple[Listed, str]:
    """Return the videos of a source that are for validation or testing, all if it does not say, and their origin."""
    parts = _parts(data) if data.is_dir() else None
    listed = read_source(Source(parts[1] if parts is not None else data, options))
    if parts is not None:
        return listed, f"from {parts[1].name}/"
    names = VAL[:-1] if any(e.split in VAL[:-1] for e in listed.entries) else VAL
    part = _part(listed, names)
    return part, "all" if part is listed else listed.origin


def _part(listed: Listed, names: Sequence[str]) -> Listed:
    """Return the entries whose column `split` is one of some names; all entries if there are none."""
    entries = [e for e in listed.entries if e.split in names]
    if not entries or len(entries) == len(listed.entries):
        return listed
    return listed._replace(entries=entries, note=_ignored(listed, len(entries)))


def _ignored(listed: Listed, used: int) -> str:
    others = len(listed.entries) - used
    return "; ".join(filter(None, [listed.note, f"{count(others, 'line')} of other splits ignored" * bool(others)]))


def _parts(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders, or else the lists, for training and validation in a folder; None if there are none."""
    sources = {p.name.lower(): p for p in sorted(folder.iterdir(), reverse=True) if p.is_dir()}
    lists = [p for p in sorted(folder.iterdir(), reverse=True) if p.is_file() and p.suffix.lower() in LISTS]
    if not any(name in sources for name in TRAIN):
        sources = {p.stem.lower(): p for p in lists}
    train = next((sources[n] for n in TRAIN if n in sources), None)
    val = next((sources[n] for n in VAL if n in sources), None)
    if train is None or (train.is_dir() and not any(p.is_dir() for p in train.iterdir())):  # `train` can be a class
        return None
    if val is None:
        raise DataError(f"{folder}: has {train.name}, but none of {', '.join(VAL)}; use --data {train}, or add --val")
    return train, val


def _by_column(listed: Listed) -> tuple[Listed, Listed | None]:
    """Divide a list by its column `split`; without this column the second part is None."""
    train = [e for e in listed.entries if e.split in TRAIN]
    val = [e for e in listed.entries if e.split in VAL[:-1]] or [e for e in listed.entries if e.split in VAL]
    if not train or not val:
        return listed, None
    return listed._replace(entries=train, note=_ignored(listed, len(train) + len(val))), listed._replace(entries=val)


def _halves(
    entries: Sequence[Entry], samples: Sequence[Sample], share: float, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    train, val = divided(entries, strata(samples), share, seed)
    return tuple(samples[p] for p in train), tuple(samples[p] for p in val)
