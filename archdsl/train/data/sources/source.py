"""A source of videos before its form is known, and the entries that a form reads from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.files import DataError
from archdsl.train.data.reading import parse_json, parse_rows, read_text
from archdsl.train.tasks import CLASSIFICATION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archdsl.train.data.classes import ClassNames
    from archdsl.train.data.stored import Stored

SUFFIXES = (
    ".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".ogv", ".gif",
)  # fmt: skip


class Entry(NamedTuple):
    """A video in a folder or a list, with the name or index of its class, and its place there for messages.

    `start` and `end` are seconds; `split` is the word of a list, in lower case; videos of one `group` stay together.
    `targets` are the fields of a list for the other tasks: several classes, or numbers.
    """

    path: str
    label: str  # empty without one
    where: str
    start: float = 0.0
    end: float | None = None
    split: str = ""
    group: str = ""
    frames: tuple[int, int] | None = None  # numbers of the first and last frame, for a folder of frames
    stored: Stored | None = None  # the place of the video's bytes, if it is not a file: `path` is its name
    targets: tuple[str, ...] = ()


class Listed(NamedTuple):
    """The entries of a source; its classes, if it says them; a note about what is irregular."""

    entries: list[Entry]
    classes: ClassNames | None = None
    note: str = ""
    named: bool = False  # labels are names, even if they look like numbers
    origin: str = "from the column `split`"  # of the division into training and validation, if there is one
    task: str = CLASSIFICATION  # the user's choice, or else that of the form
    columns: tuple[str, ...] = ()  # names of the columns of `targets`
    options: tuple[str, ...] = ()  # names of the `Options` that only some forms use, and that this one has used


@dataclass(frozen=True)
class Options:
    """Choices of the user: the folder of the videos, and those for sources with several labels or splits."""

    root: Path | None = None
    label: str | None = None  # column of the classes; for other tasks than classification also several, with commas
    fold: int | None = None  # number of a published split
    group: str | None = None  # regular expression: videos whose paths have the same match stay together
    labelled: bool = True  # classes are needed
    task: str | None = None  # one of `archdsl.train.tasks.TASKS`; None for that of the form

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names in `label`: one at most for a single class, else those between commas."""
        if self.label is None or self.task in {None, CLASSIFICATION}:
            return () if self.label is None else (self.label,)
        return tuple(word.strip() for word in self.label.split(",") if word.strip())


@dataclass(frozen=True)
class Source:
    """A folder or a list of videos; its content is read when a form asks for it."""

    path: Path
    options: Options = Options()

    @property
    def place(self) -> Path:
        """The folder that paths in a list are relative to."""
        return self.options.root if self.options.root is not None else self.folder

    @property
    def folder(self) -> Path:
        """The folder, or the folder of the list."""
        return self.path if self.is_folder else self.path.parent

    @cached_property
    def is_folder(self) -> bool:
        """True for a folder."""
        return self.path.is_dir()

    @property
    def suffix(self) -> str:
        """The suffix of a list, in lower case; empty for a folder."""
        return "" if self.is_folder else self.path.suffix.lower()

    @cached_property
    def text(self) -> str:
        """The text of a list."""
        return read_text(self.path)

    @cached_property
    def json(self) -> Any:
        """The value of a JSON list; None for other files and folders."""
        return parse_json(self.path, self.text) if self.suffix == ".json" else None

    @cached_property
    def rows(self) -> list[tuple[int, list[str]]]:
        """The lines of a table, with their numbers and fields; empty for folders and JSON."""
        return [] if self.is_folder or self.suffix == ".json" else parse_rows(self.path, self.text)

    @property
    def header(self) -> list[str]:
        """The fields of the first line, in lower case."""
        return [field.lower() for field in self.rows[0][1]] if self.rows else []

    def companion(self) -> Source | None:
        """Return the list for validation beside a published list for training, by its name; None without one."""
        name = self.path.name
        names = [name.replace("train", word) for word in ("validation", "val", "test") if "train" in name]
        path = next((self.folder / n for n in names if (self.folder / n).is_file()), None)
        return Source(path, self.options) if path is not None else None

    def where(self, line: int) -> str:
        """Return the place of a line, for messages."""
        return f"{self.path}:{line}"

    def beside(self, *names: str) -> Path | None:
        """Return the first existing file of some names, beside the list or in the folder of its videos."""
        places = (self.folder, self.folder.parent, self.place)
        return next((place / name for place in places for name in names if (place / name).is_file()), None)


def as_text(value: Any, where: str, options: Options) -> str:
    """Return a label of a JSON file or a table as text; empty for null.

    Raises:
        DataError: if there are several, and the task takes one.
    """
    if isinstance(value, list) and options.labelled and options.task in {None, CLASSIFICATION}:
        raise DataError(
            f"{where}: the video has several classes, {json.dumps(value)}; choose --task multilabel, or one class"
        )
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def existing(place: Path, names: Sequence[str]) -> str:
    """Return the path of the first name that exists below a folder, or else of the first name."""
    paths = [place / name for name in names]
    return str(next((p for p in paths if p.exists()), paths[0]))


def stored(place: Path, name: str, folders: Sequence[str] = ("",)) -> str:
    """Return the path of a video below one of some folders: with its suffix, another one, or as a folder of frames."""
    stem = name.removesuffix(Path(name).suffix) if Path(name).suffix.lower() in SUFFIXES else name
    names = [name, stem, *[f"{stem}{suffix}" for suffix in (*SUFFIXES, ".MP4") if f"{stem}{suffix}" != name]]
    return existing(place, [f"{folder}{name}" for folder in folders for name in names])


def divided_by_list(source: Source, entries: Callable[[Source], list[Entry]]) -> tuple[list[Entry], str]:
    """Return the entries of a published list, and those of its companion for validation, with their splits."""
    other = source.companion()
    if other is None:
        return entries(source), ""
    pairs = (("train", source), ("val", other))
    return [e._replace(split=word) for word, part in pairs for e in entries(part)], f"from {other.path.name} beside it"
