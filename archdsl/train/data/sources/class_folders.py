"""A folder with a subfolder of videos, or of folders of frames, for each class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.files import DataError
from archdsl.train.data.frames import has_frames
from archdsl.train.data.reading import count, some
from archdsl.train.data.sources.source import SUFFIXES, Entry, Listed
from archdsl.train.data.sources.ucf101 import group_of

if TYPE_CHECKING:
    from archdsl.train.data.sources.source import Source


def recognises(source: Source) -> bool:
    """Return True for each folder."""
    return source.is_folder


def read(source: Source) -> Listed:
    """Return the videos and folders of frames in the subfolders, at any depth; each linked folder is read once."""
    folder = source.path
    labelled = source.options.labelled
    walk = Walk(folder, labelled=labelled)
    loose = [] if labelled else walk.loose()
    entries = [Entry(str(p), "", str(folder), group=group_of(p.stem)) for p in loose]
    empty: list[str] = []
    for place in walk.classes():
        videos = walk.videos(place)
        empty += [place.name] * (not videos)
        entries += [Entry(str(p), place.name, str(place), group=group_of(p.stem)) for p in videos]
    if not entries:
        raise DataError(f"{folder}: {_problem(folder, walk, labelled=labelled)}")
    notes = [*walk.notes(), *[f"no videos in {', '.join(sorted(empty))}"] * bool(empty)]
    return Listed(sorted(entries, key=_order), None, "; ".join(notes), named=True)


def _problem(folder: Path, walk: Walk, *, labelled: bool) -> str:
    """Return the reason why there are no videos."""
    if not labelled:
        return f"has no videos; put videos into it, named *{', *'.join(SUFFIXES)}, or a folder with the frames of each"
    if walk.images:
        return (
            f"has images in {walk.images[0]}, but no videos; put the frames of each video into a folder of its own, "
            f"{folder}/CLASS/VIDEO/img_00001.jpg"
        )
    loose = any(p.suffix.lower() in SUFFIXES for p in folder.iterdir())
    problem = "its videos are not in subfolders, one per class" if loose else "has no videos in its subfolders"
    return f"{problem}; put videos into {folder}/CLASS/, named *{', *'.join(SUFFIXES)}"


def _order(entry: Entry) -> tuple[str, Path]:
    return entry.label, Path(entry.path)


class Walk:
    """A walk through a folder that follows links to folders, each folder once."""

    def __init__(self, folder: Path, *, labelled: bool = True) -> None:
        self.folder = folder
        self.labelled = labelled  # the folders in it are classes; else they can also be videos
        self.others = sum(p.is_file() for p in folder.iterdir())  # files that are not videos
        self.dangling = 0
        self.images: list[str] = []  # folders of classes that hold images themselves
        self.again: list[str] = []  # links to folders that have been read
        self._seen = {_identity(folder)}
        self._classes = {_identity(p) for p in folder.iterdir() if p.is_dir() and not p.is_symlink()}

    def loose(self) -> list[Path]:
        """Return the videos that are in no folder of a class."""
        files = (p for p in self.folder.iterdir() if p.is_file() and not p.name.startswith("."))
        return sorted(p for p in files if p.suffix.lower() in SUFFIXES)

    def classes(self) -> list[Path]:
        """Return the folders of classes, links last."""
        entries = [p for p in self.folder.iterdir() if not p.name.startswith(".")]
        self.dangling += sum(p.is_symlink() and not p.exists() for p in entries)
        return sorted((p for p in entries if p.is_dir()), key=lambda p: (p.is_symlink(), p.name))

    def videos(self, place: Path) -> list[Path]:
        """Return the videos in a folder, at any depth."""
        identity = _identity(place)
        if identity in self._seen or (identity in self._classes and place.parent != self.folder):
            self.again.append(f"{place.relative_to(self.folder)} is a link to {os.path.realpath(place)}")
            return []
        self._seen.add(identity)
        folders, files = self._content(place)
        videos = [p for p in files if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
        if not videos and not folders and has_frames(place):
            if place.parent != self.folder or not self.labelled:
                return [place]
            self.images.append(str(place))
        self.others += len(files) - len(videos)
        for folder in folders:
            videos += self.videos(folder)
        return videos

    def _content(self, place: Path) -> tuple[list[Path], list[Path]]:
        """Return the folders, links last, and the files in a folder; links without a target are counted."""
        with os.scandir(place) as found:
            paths = [place / e.name for e in sorted(found, key=lambda e: (e.is_symlink(), e.name))]
        there = [p for p in paths if p.exists()]
        self.dangling += len(paths) - len(there)
        folders = [p for p in there if p.is_dir()]
        return [p for p in folders if not p.name.startswith(".")], [p for p in there if p not in set(folders)]

    def notes(self) -> list[str]:
        """Return notes on ignored files, links without a target, and links to folders that had been read."""
        notes = [f"{count(self.others, 'other file')} in {self.folder} ignored"] * bool(self.others)
        notes += [f"{count(self.dangling, 'link')} in {self.folder} without a target"] * bool(self.dangling)
        return notes + [f"each folder is read once: {some(self.again)}"] * bool(self.again)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
