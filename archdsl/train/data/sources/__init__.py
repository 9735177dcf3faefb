"""Sources of videos: one module for each form of folder or list.

A form is a module with two functions:

    recognises(source)   True if a source has this form; cheap, and false rather than an error
    read(source)         its entries, in order (`Listed`); raises DataError with file and line

To add a form, write such a module, and put it into `FORMS` before every form that recognises its sources as well; add
a section to docs/data_sources.md, and a case to tests/train/test_sources.py in the form's published layout.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from archdsl.files import DataError, UsageError
from archdsl.train.data.sources import (
    charades,
    class_folders,
    diving48,
    epic,
    hmdb51,
    huggingface,
    kinetics,
    shards,
    something,
    table,
    twentybn,
    ucf101,
)
from archdsl.train.data.sources.files import is_pattern
from archdsl.train.data.sources.source import SUFFIXES, Source

if TYPE_CHECKING:
    from archdsl.train.data.sources.source import Listed

MAX_PROBED = 100  # entries at the start of a list that are checked for an existing file


class Form(Protocol):
    """A form of folder or list."""

    def recognises(self, source: Source, /) -> bool:
        """Return True if a source has this form."""
        ...

    def read(self, source: Source, /) -> Listed:
        """Return the entries of a source of this form."""
        ...


ARCHIVES: tuple[Form, ...] = (shards, huggingface)  # their videos are not files
# Options of the user that a form uses; of the others it is said that they are unused.
USED: dict[Form, tuple[str, ...]] = {
    shards: ("label",), huggingface: ("label",), epic: ("label",), ucf101: ("fold",), hmdb51: ("fold",),
}  # fmt: skip
ROOTLESS: tuple[Form, ...] = (class_folders, shards)  # no list in them has paths
FORMS: tuple[Form, ...] = (  # the special ones first
    *ARCHIVES, ucf101, hmdb51, class_folders, diving48, something, kinetics, epic, charades, twentybn, table,
)  # fmt: skip


def read_source(source: Source) -> Listed:
    """Read a folder or list of any form.

    Raises:
        UsageError: if it does not exist, or is neither a folder nor a list.
        DataError: with file and line, if it is inconsistent, or has no videos.
    """
    _check(source)
    form = next(form for form in FORMS if form.recognises(source))
    listed = form.read(source)
    used = (*USED.get(form, listed.options), *(() if form in ROOTLESS else ("root",)))
    listed = listed._replace(task=source.options.task or listed.task, options=used)
    if not listed.entries:
        raise DataError(f"{source.path}: the list is empty; {table.FORM}")
    first = listed.entries[0]
    if not any(e.stored is not None or Path(e.path).exists() for e in listed.entries[:MAX_PROBED]):
        raise DataError(
            f"{first.where}: no such file: {first.path}, nor the following ones; set their folder with --root"
        )
    return listed


def is_archive(path: Path) -> bool:
    """Return True for a source whose videos are not files, which is a file or a pattern."""
    source = Source(path)
    return not source.is_folder and any(form.recognises(source) for form in ARCHIVES)


def _check(source: Source) -> None:
    path = source.path
    if source.is_folder or (is_pattern(path) and is_archive(path)):
        return
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; expected a folder of videos, or a list of videos")
    if not path.is_file():
        raise UsageError(f"{path}: is neither a folder nor a file")
    if source.suffix in SUFFIXES:
        raise UsageError(f"{path}: is a video; expected a folder with a subfolder per class, or a list of videos")
    if not source.place.is_dir():
        raise UsageError(f"{source.place}: no such folder; the paths in {path} are relative to it")
