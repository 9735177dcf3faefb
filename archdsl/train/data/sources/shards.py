"""Tar files in the form of WebDataset: members `KEY.mp4` with `KEY.cls`, `KEY.json` or `KEY.txt` for the class.

The members stay in the tar files; the index of their places is made when the source is read.
"""

from __future__ import annotations

import json
import tarfile
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from archdsl.files import DataError, UsageError, system_fault
from archdsl.train.data.reading import count
from archdsl.train.data.sources.files import files_of, split_of
from archdsl.train.data.sources.source import SUFFIXES, Entry, Listed, as_text
from archdsl.train.data.sources.table import label_columns
from archdsl.train.data.stored import Member

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archdsl.train.data.sources.source import Options, Source

SUFFIX = ".tar"
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
TEXTS = ("cls", "json", "txt")  # the class of a video, by precedence
LARGEST = 2**20  # bytes of such a member


class Record(NamedTuple):
    """The members of one key: the video, and texts by their suffix."""

    video: str
    member: Member
    texts: dict[str, bytes]


def recognises(source: Source) -> bool:
    """Return True for a tar file, a pattern of them, and a folder of them."""
    if source.path.name.lower().endswith(COMPRESSED):
        return True
    return source.suffix == SUFFIX or (source.is_folder and bool(files_of(source, SUFFIX)))


def read(source: Source) -> Listed:
    """Return the videos of all shards, in the order of shards and members."""
    if source.path.name.lower().endswith(COMPRESSED):
        raise DataError(
            f"{source.path}: is compressed, so videos in it can only be read in order; decompress it to a .tar file"
        )
    shards = files_of(source, SUFFIX)
    entries = [entry for shard in shards for entry in _entries(shard, source)]
    if not entries:
        raise DataError(f"{source.path}: has no videos; expected members KEY.mp4 with KEY.cls, KEY.json or KEY.txt")
    note, columns = count(len(shards), "tar file"), source.options.label_names
    return Listed(entries, note=note, origin="from the names of the tar files", columns=columns)


def _entries(shard: Path, source: Source) -> list[Entry]:
    status = shard.stat()
    split, names = split_of(shard, source), source.options.label_names
    entries: list[Entry] = []
    for record in _index(str(shard), status.st_size, status.st_mtime_ns):
        where = f"{shard}: member {record.video}"
        labels = [_label(record, where, name, source.options) for name in names or (None,)]
        if not any(labels) and source.options.labelled:
            key = record.video.rpartition(".")[0]
            raise DataError(f"{where}: has no class; expected {key}.cls, {key}.json or {key}.txt beside it")
        targets = tuple(labels) if len(names) > 1 else ()
        path = f"{shard}/{record.video}"
        entries.append(Entry(path, labels[0], where, split=split, stored=record.member, targets=targets))
    return entries


@lru_cache(maxsize=4096)
def _index(shard: str, size: int, modified: int) -> tuple[Record, ...]:
    """Return the records of a tar file with videos.

    Raises:
        DataError: if it is not a tar file, is truncated, or a key has two videos.
    """
    del modified
    videos: dict[str, tuple[str, Member]] = {}
    texts: dict[str, dict[str, bytes]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for key, suffix, info in _members(tar):
                if info.offset_data + info.size > size:
                    raise DataError(f"{shard}: is truncated: it ends within {info.name}; copy or download it again")
                if suffix in TEXTS:
                    file = tar.extractfile(info)
                    texts.setdefault(key, {})[suffix] = file.read() if file is not None else b""
                elif key in videos:
                    raise DataError(f"{shard}: has two videos {key}: {videos[key][0]} and {info.name}")
                else:
                    videos[key] = info.name, Member(shard, info.offset_data, info.size)
    except tarfile.TarError as error:
        raise DataError(f"{shard}: cannot be read as a tar file: {error}") from None
    except OSError as error:
        raise system_fault(shard, error) from None
    return tuple(Record(*video, texts.get(key, {})) for key, video in videos.items())


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
    """Yield key, suffix and place of each video and text."""
    for info in tar:
        cast("Any", tar).members = []  # the list of all members so far
        folder, slash, file = info.name.rpartition("/")
        name, _, suffix = file.partition(".")
        suffix = suffix.lower()
        if info.isfile() and name and (f".{suffix}" in SUFFIXES or (suffix in TEXTS and info.size <= LARGEST)):
            yield folder + slash + name, suffix, info


def _label(record: Record, where: str, chosen: str | None, options: Options) -> str:
    """Return the class of a video; empty without one.

    Args:
        record: its members.
        where: its place, for messages.
        chosen: a suffix, or a key of the JSON member; by default the first that exists.
        options: the choices of the user.
    """
    if chosen is not None and chosen.lower() in record.texts and chosen.lower() != "json":
        return _text(record.texts[chosen.lower()], where)
    for suffix in TEXTS if chosen is None else ("json",):
        data = record.texts.get(suffix)
        label = _text(data, where) if data is not None else ""
        if suffix == "json" and data is not None:
            label = as_text(
                _json_value(label, where, label_columns(options) if chosen is None else (chosen,)), where, options
            )
        if label:
            return label
    if chosen is not None:
        suffixes = ", ".join(sorted(record.texts)) or "no text"
        raise UsageError(f"--label {chosen}: {where} has {suffixes} beside it, without this key or suffix")
    return ""


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise DataError(f"{where}: the text beside it is not UTF-8") from None


def _json_value(text: str, where: str, keys: tuple[str, ...]) -> Any:
    """Return the class in a JSON member: the value of a key, or the whole value."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: the JSON beside it cannot be read: {error}") from None
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return next((fields[key] for key in keys if key in fields), None)
    return value
