"""Folders of videos: links, circles and what is left out."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

pytest.importorskip("lightning")

from archdsl.ir.recipe import Recipe
from archdsl.train.data.listing import Sample, Split, read_split
from archdsl.train.objectives.classification import Classification
from archdsl.train.report import Result, write


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


def test_predictions_tell_the_segments_of_a_video_apart(tmp_path: Path) -> None:
    samples = [Sample("a.mp4", 0, 1.5, 3.0), Sample("a.mp4", 1, 3.0), Sample("b.mp4", 1)]
    shares = torch.tensor([[0.75, 0.25]] * 3)
    result = Result(
        samples,
        Classification(("x", "y"), Recipe()),
        torch.arange(3),
        torch.tensor([0, 1, 1]),
        shares,
        {},
        "1 × 1 view",
        1.0,
    )
    write(result, tmp_path)
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["video"], r["start"], r["end"]) for r in rows] == [
        ("a.mp4", "1.5", "3"), ("a.mp4", "3", ""), ("b.mp4", "0", ""),
    ]  # fmt: skip
