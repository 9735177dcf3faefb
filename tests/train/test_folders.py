"""Folders of videos: links, circles and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from archdsl.train.data.listing import Split, read_split


def touched(folder: Path, *names: str) -> Path:
    """A folder with empty files."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names_of(split: Split, folder: Path) -> list[tuple[str, str]]:
    """The path and the class of each video."""
    samples = split.train + split.val
    return sorted((str(Path(s.path).relative_to(folder)), split.classes[s.label]) for s in samples)


def test_linked_folders_are_read_once(tmp_path: Path) -> None:
    touched(tmp_path / "disk", "more/2.mp4", "more/deep/3.mp4", "all/4.mp4", "all/5.mp4")
    data = touched(tmp_path / "data", "a/1.mp4", "b/6.mp4", "b/7.mp4")
    (data / "a" / "more").symlink_to(tmp_path / "disk" / "more")
    (data / "a" / "again").symlink_to(tmp_path / "disk" / "more")
    (data / "a" / "up").symlink_to(data)  # a circle
    (data / "a" / "other").symlink_to(data / "b")  # a class of its own
    (data / "c").symlink_to(tmp_path / "disk" / "all")
    (data / "a" / "gone").symlink_to(tmp_path / "disk" / "gone")
    (data / "a" / "gone.mp4").symlink_to(tmp_path / "disk" / "gone.mp4")
    split = read_split(data)
    assert names_of(split, data) == [
        ("a/1.mp4", "a"), ("a/again/2.mp4", "a"), ("a/again/deep/3.mp4", "a"),
        ("b/6.mp4", "b"), ("b/7.mp4", "b"), ("c/4.mp4", "c"), ("c/5.mp4", "c"),
    ]  # fmt: skip
    assert "2 links in" in split.note
    assert "without a target" in split.note
    assert "each folder is read once: a/more is a link to" in split.note
    assert "a/other is a link to" in split.note


def test_linked_videos_are_read(tmp_path: Path) -> None:
    touched(tmp_path / "disk", "1.mp4", "2.mp4")
    for name, video in (("a", "1"), ("b", "2")):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / f"{video}.mp4").symlink_to(tmp_path / "disk" / f"{video}.mp4")
    assert names_of(read_split(tmp_path / "data"), tmp_path / "data") == [("a/1.mp4", "a"), ("b/2.mp4", "b")]
