"""Hugging Face datasets on disk: folders that `save_to_disk` writes, and Parquet files, with a column of videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from archdsl.files import DataError, UsageError
from archdsl.train.data import arrow
from archdsl.train.data.classes import ClassNames
from archdsl.train.data.sources.files import files_of, split_of
from archdsl.train.data.sources.source import Entry, Listed, as_text
from archdsl.train.data.sources.table import label_columns
from archdsl.train.data.stored import Cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.train.data.sources.source import Options, Source

SUFFIX = ".parquet"
SPLITS, STATE, INFO = "dataset_dict.json", "state.json", "dataset_info.json"
VIDEOS = ("video", "mp4", "path", "file", "filename", "video_path")


class Part(NamedTuple):
    """A file of a dataset, with the split that it belongs to."""

    file: Path
    split: str


class Columns(NamedTuple):
    """The columns of videos and classes; the names of the classes, if the dataset has them."""

    video: str
    labels: tuple[str, ...]
    names: tuple[str, ...]


def recognises(source: Source) -> bool:
    """Return True for a folder of `save_to_disk`, and for Parquet files, a pattern or a folder of them."""
    if source.is_folder:
        own = any((source.path / name).is_file() for name in (SPLITS, STATE))
        return own or bool(files_of(source, SUFFIX))
    return source.suffix == SUFFIX


def read(source: Source) -> Listed:
    """Return the rows of all splits, in their order."""
    arrow.check_pyarrow(str(source.path))
    parts = list(_parts(source))
    if not parts:
        raise DataError(f"{source.path}: has no data files; save the dataset again with `save_to_disk`")
    columns = _columns(_table(parts[0].file), source, _features(parts[0].file))
    entries = [entry for part in parts for entry in _entries(part, columns, source)]
    names = columns.names
    classes = ClassNames(names, tuple(range(len(names))), True, file=str(source.path)) if names else None
    several = source.options.label_names
    return Listed(entries, classes, named=bool(names), origin="from the splits of the dataset", columns=several)


def _parts(source: Source) -> Iterator[Part]:
    """Yield the files of the dataset."""
    folder = source.path
    if source.is_folder and (folder / SPLITS).is_file():
        for split in _json(folder / SPLITS).get("splits", ()):
            yield from (Part(file, str(split).lower()) for file in _data_files(folder / str(split)))
    elif source.is_folder and (folder / STATE).is_file():
        yield from (Part(file, "") for file in _data_files(folder))
    else:
        yield from (Part(file, split_of(file, source)) for file in files_of(source, SUFFIX))


def _data_files(folder: Path) -> list[Path]:
    """Return the Arrow files of a dataset that `save_to_disk` has written."""
    state = _json(folder / STATE)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise DataError(f"{folder}: selects rows by indices; save `dataset.flatten_indices()` instead")
    return [folder / str(item["filename"]) for item in state.get("_data_files", ())]


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _table(file: Path) -> arrow.Table:
    try:
        return arrow.opened(str(file))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {str(error).splitlines()[0]}") from None


def _features(file: Path) -> dict[str, dict[str, Any]]:
    """Return the columns' types that a file, or the description beside it, states."""
    info = file.parent / INFO
    return _table(file).features or (_json(info).get("features") or {} if info.is_file() else {})


def _columns(table: arrow.Table, source: Source, features: dict[str, dict[str, Any]]) -> Columns:
    """Return the columns of videos and classes."""
    known = ", ".join(table.columns)
    found = [c for c in table.columns if features.get(c, {}).get("_type") == "Video"]
    found = found or [c for c in table.columns if table.kind(c) == "bytes"]
    found = found or [c for c in VIDEOS if c in table.columns and table.kind(c) == "text"]
    video = next((c for c in VIDEOS if c in found), found[0] if len(found) == 1 else None)
    if video is None:
        problem = f"several columns could be the videos: {', '.join(found)}" if found else "no column has videos"
        raise DataError(f"{source.path}: {problem}; its columns are {known}; expected one named `video`")
    chosen = (
        source.options.label_names
        or tuple(c for c in (*label_columns(source.options), "labels") if c in table.columns)[:1]
    )
    for name in chosen:
        if name not in table.columns:
            raise UsageError(f"--label {name}: the columns of {source.path} are {known}")
    if not chosen and source.options.labelled:
        raise DataError(f"{source.path}: no column of classes; its columns are {known}; choose one with --label COLUMN")
    feature: dict[str, Any] = features.get(chosen[0], {}) if len(chosen) == 1 else {}
    item: dict[str, Any] = feature.get("feature") or feature  # of a list of classes, or of a class
    names: list[str] = item.get("names") or []
    return Columns(video, chosen, tuple(map(str, names)))


def _entries(part: Part, columns: Columns, source: Source) -> Iterator[Entry]:
    """Yield the rows of a file."""
    table = _table(part.file)
    missing = [c for c in (columns.video, *columns.labels) if c not in table.columns]
    if missing:
        raise DataError(f"{part.file}: has no column {missing[0]}, unlike the other files")
    text = table.kind(columns.video) == "text"
    field = "" if text else arrow.PATH
    named = text or table.has_path(columns.video)
    paths = table.values(columns.video, field) if named else [None] * table.rows
    stored = not text and table.rows > 0 and table.has_video(columns.video, 0)
    labels = [table.values(column) for column in columns.labels]
    for row, path in enumerate(paths):
        where = f"{part.file}: row {row}"
        label, targets = _targets([values[row] for values in labels], columns, where, source.options)
        if not stored:
            if not path:
                raise DataError(f"{where}: has neither bytes nor a path of a video")
            yield Entry(str(source.place / path), label, where, split=part.split, targets=targets)
        else:
            name = f"{part.file}/{row}" + (f"/{Path(path).name}" if path else "")
            cell = Cell(str(part.file), columns.video, row)
            yield Entry(name, label, where, split=part.split, stored=cell, targets=targets)


def _targets(values: list[Any], columns: Columns, where: str, options: Options) -> tuple[str, tuple[str, ...]]:
    """Return the class of a row, and its targets for other tasks: those of several columns, or of a list of classes."""
    if len(values) == 1 and isinstance(values[0], list):
        items = cast("list[Any]", values[0])
        return as_text(items, where, options) if items else "", tuple(_label(i, columns, where, options) for i in items)
    labels = tuple(_label(value, columns, where, options) for value in values)
    return labels[0] if labels else "", labels if len(labels) > 1 else ()


def _label(value: Any, columns: Columns, where: str, options: Options) -> str:
    """Return the class of a row, by its name if the dataset has names; empty without one."""
    if not columns.names:
        return as_text(value, where, options)
    if value in {None, -1}:  # −1 stands for unknown, as in test splits
        return ""
    if not isinstance(value, int) or not 0 <= value < len(columns.names):
        raise DataError(f"{where}: the class is {value!r}; expected 0 to {len(columns.names) - 1}")
    return columns.names[value]
