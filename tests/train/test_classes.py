"""Files of class names and labels of lists: in the forms in which they are published, and none taken for another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from archdsl.files import DataError
from archdsl.train.data.classes import ClassNames
from archdsl.train.data.listing import Split, read_split, read_tested


def listed(folder: Path, text: str, name: str = "list.txt", classes: str | None = None) -> Split:
    """The data set of a list, whose videos are empty files; classes are in a file beside it."""
    for file in ("a.mp4", "b.mp4", "c.mp4", "d e.mp4"):
        (folder / file).touch()
    (folder / name).write_text(text, "utf-8")
    return read_split(folder / name, folder / name, classes=folder / classes if classes is not None else None)


def labels(split: Split) -> dict[str, str]:
    """The name of the class of each video."""
    return {Path(s.path).name: split.classes[s.label] for s in split.train}


# --- class files ------------------------------------------------------------------------------------------------------

# Files as they are published, each for three classes; the numbers of the first two lines name the last two classes.
FILES = {
    "plain.txt": "ape\nbee\ncat\n",
    "kinetics_labels.csv": "id,name\n0,ape\n1,bee\n2,cat\n",  # PySlowFast, TimeSformer
    "by_name.csv": "name,id\nape,0\ncat,2\nbee,1\n",
    "indices.txt": "0 ape\n1 bee\n2 cat\n",
    "names_first.csv": "ape,0\nbee,1\ncat,2\n",
    "tabs.tsv": "index\tlabel\tvideos\n2\tcat\t7\n0\tape\t9\n1\tbee\t8\n",
    "epic.csv": "id,key,instances\n0,ape,\"['ape', 'monkey']\"\n1,bee,['bee']\n2,cat,['cat']\n",
    "header.csv": "label\nape\nbee\ncat\n",
    "own_header.csv": "number,animal\n0,ape\n1,bee\n2,cat\n",
    "to_name.json": json.dumps({"0": "ape", "1": "bee", "2": "cat"}),
    "to_index.json": json.dumps({"bee": 1, "ape": 0, '"cat"': 2}),  # PySlowFast quotes names twice
    "to_text.json": json.dumps({"bee": "1", "ape": "0", "cat": "2"}),  # Something-Something's labels.json
    "list.json": json.dumps(["ape", "bee", "cat"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_class_files_as_published(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FILES[name], "utf-8")
    split = listed(tmp_path, "a.mp4 1\nb.mp4 2\nc.mp4 0\n", classes=name)
    assert split.classes == ("ape", "bee", "cat")
    assert labels(split) == {"a.mp4": "bee", "b.mp4": "cat", "c.mp4": "ape"}
    assert labels(listed(tmp_path, "a.mp4 bee\nb.mp4 cat\n", classes=name)) == {"a.mp4": "bee", "b.mp4": "cat"}


def test_indices_that_count_from_one(tmp_path: Path) -> None:
    (tmp_path / "classInd.txt").write_text("1 ApplyEyeMakeup\n2 ApplyLipstick\n3 Archery\n")  # UCF101
    split = listed(tmp_path, "a.mp4 1\nb.mp4 3\n", classes="classInd.txt")
    assert labels(split) == {"a.mp4": "ApplyEyeMakeup", "b.mp4": "Archery"}
    assert "classInd.txt counts classes from 1" in split.note
    assert "no videos of ApplyLipstick" in split.note
    with pytest.raises(DataError, match=r"list\.txt:2: .*'0'.*"):
        listed(tmp_path, "a.mp4 1\nb.mp4 0\n", classes="classInd.txt")


def test_a_list_that_counts_the_lines_of_a_file_from_one(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("ape\nbee\ncat\n")
    split = listed(tmp_path, "a.mp4 1\nb.mp4 3\n", classes="names.txt")
    assert labels(split) == {"a.mp4": "ape", "b.mp4": "cat"}
    assert "counts classes from 1: class 1 is 'ape'" in split.note


def test_indices_with_gaps(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('{"0": "ape", "4": "bee", "7": "cat"}')
    split = listed(tmp_path, "a.mp4 4\nb.mp4 7\n", classes="names.json")
    assert labels(split) == {"a.mp4": "bee", "b.mp4": "cat"}
    assert split.classes == ("ape", "bee", "cat")
    assert "names.json has no class 1, 2, 3, 5, 6" in split.note


def test_names_that_look_like_pairs(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("person 1\nperson 2\nrun, fast\n")
    split = listed(tmp_path, "a.mp4 1\nb.mp4 2\nc.mp4 0\n", classes="names.txt")
    assert split.classes == ("person 1", "person 2", "run, fast")


def test_names_from_a_run_are_taken_as_they_are(tmp_path: Path) -> None:
    names = ("1 hand", "2 hands")
    known = ClassNames(names, (0, 1))
    listed(tmp_path, 'a.mp4 "1 hand"\nb.mp4 "2 hands"\n')
    split = read_split(tmp_path / "list.txt", tmp_path / "list.txt", classes=known)
    assert split.classes == names
    assert labels(split) == {"a.mp4": "1 hand", "b.mp4": "2 hands"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.txt", "1 ape\n2 bee\n2 cat\n", r"c\.txt:3: the index 2 occurs twice"),
        ("c.txt", "0 ape\n1 bee\n2 ape\n", r"c\.txt:3: 'ape' occurs twice"),
        ("c.txt", "0 ape\n1 bee\ncat\n3 dog\n", r"c\.txt:3: 'cat' has no index, unlike the other lines"),
        ("c.json", '{"0": 1, "1": 0}', "maps numbers to numbers"),
        ("c.json", '{"ape": [0], "bee": [1]}', "a map that is not one between names and indices"),
        ("c.json", "[1, 2]", "a list of other things than names"),
        ("c.json", "3", "neither a list nor a map"),
        ("c.json", '{"0": "ape", "00": "bee"}', "the index 0 occurs twice"),
    ],
)
def test_class_files_that_are_none(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        listed(tmp_path, "a.mp4 1\nb.mp4 0\n", classes=name)


# --- labels -----------------------------------------------------------------------------------------------------------


def test_labels_that_count_from_one_make_no_class_without_videos(tmp_path: Path) -> None:
    split = listed(tmp_path, "a.mp4 1\nb.mp4 2\nc.mp4 3\n")
    assert split.classes == ("1", "2", "3")
    assert [s.label for s in split.train] == [0, 1, 2]
    assert "counts classes from 1" in split.note


def test_labels_with_gaps(tmp_path: Path) -> None:
    split = listed(tmp_path, "a.mp4 0\nb.mp4 10\nc.mp4 2\n")
    assert split.classes == ("0", "2", "10")
    assert labels(split) == {"a.mp4": "0", "b.mp4": "10", "c.mp4": "2"}
    assert "without the classes 1, 3, 4, 5, 6 and 3 more" in split.note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.mp4,0.5\nb.mp4,1.5\n",
         r"l\.csv:1: the class is '0\.5', neither a name nor a whole number; --task regression trains on numbers"),
        ("a.mp4,1e-3\nb.mp4,2\n", r"l\.csv:1: the class is '1e-3', neither"),
        ('a.mp4,"0,2"\nb.mp4,"1"\n',
         r"l\.csv:1: the video has several classes, '0,2'; .* --task multilabel trains on several"),
        ("a.mp4,0|2\nb.mp4,1\n", "several classes"),
        ("a.mp4,1250\nb.mp4,1100\n", r"l\.csv:1: the class is 1250, but the list has only 2 .* --task regression"),
        ("a.mp4;['run', 'jump']\nb.mp4;['run']\n", r"several classes, \"\['run', 'jump'\]\"; .* --task multilabel"),
        ("a.mp4,0\nb.mp4,run\n", r"l\.csv:2: the class is 'run', but that of .*l\.csv:1 is the number 0"),
        ("clip,start_frame,category\na.mp4,0,x\nb.mp4,3,y\n",
         r"l\.csv:1: is a header with unknown columns `clip`, `start_frame`, `category`; name them `path` and `label`"),
    ],
)  # fmt: skip
def test_labels_that_are_none(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        listed(tmp_path, text, "l.csv")


@pytest.mark.parametrize("header", ["clip,category", "Name Of File,Activity"])
def test_a_header_with_other_words_is_no_class(header: str, tmp_path: Path) -> None:
    split = listed(tmp_path, f"{header}\na.mp4,0\nb.mp4,1\nd e.mp4,1\n", "l.csv")
    assert labels(split) == {"a.mp4": "0", "b.mp4": "1", "d e.mp4": "1"}
    assert "is read as a header" in split.note


def test_spaces_in_paths_without_quotes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'list\.txt:2: has 3 fields; .*as in "d e\.mp4" 1'):
        listed(tmp_path, "a.mp4 0\nd e.mp4 1\n")


# --- segments and groups ----------------------------------------------------------------------------------------------


def test_segments_of_a_video_are_on_one_side_of_a_random_split(tmp_path: Path) -> None:
    lines: list[str] = []
    for video in range(12):
        (tmp_path / f"{video}.mp4").touch()
        lines += [f"{video}.mp4 {'xy'[part % 2]} {part} {part + 1}" for part in range(6)]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    split = read_split(tmp_path / "list.txt")
    train, val = ({s.path for s in part} for part in (split.train, split.val))
    assert not train & val
    assert len(split.train) + len(split.val) == 72
    assert 2 <= len(val) <= 3  # a fifth of each class
    assert {s.label for s in split.val} == {0, 1}


def test_a_column_of_groups(tmp_path: Path) -> None:
    rows = ["path,label,group"]
    for video in range(20):
        (tmp_path / f"{video}.mp4").touch()
        rows.append(f"{video}.mp4,{video % 2},{video // 4}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    split = read_split(tmp_path / "list.csv")
    groups: list[set[Any]] = [{int(Path(s.path).stem) // 4 for s in part} for part in (split.train, split.val)]
    assert not groups[0] & groups[1]
    assert groups[1]


def test_a_list_with_a_split_and_another_list(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / f"{name}.mp4").touch()
    (tmp_path / "l.csv").write_text(
        "path,label,split\na.mp4,0,train\nb.mp4,1,train\nc.mp4,0,val\nd.mp4,1,val\ne.mp4,0,test\n"
    )
    split = read_split(tmp_path / "l.csv", tmp_path / "l.csv")
    assert [Path(s.path).stem for s in split.train] == ["a", "b"]
    assert [Path(s.path).stem for s in split.val] == ["c", "d"]
    tested = read_tested(tmp_path / "l.csv")
    assert (tested.train, tested.val) == ((), split.val)


def test_a_list_for_a_test_counts_classes_as_the_run_does(tmp_path: Path) -> None:
    (tmp_path / "classInd.txt").write_text("1 ape\n2 bee\n3 cat\n")
    split = listed(tmp_path, "a.mp4 1\nb.mp4 2\nc.mp4 3\n", classes="classInd.txt")
    known = ClassNames(split.classes, split.indices, explicit=True)
    (tmp_path / "list.txt").write_text("b.mp4 2\n")
    tested = read_tested(tmp_path / "list.txt", classes=known)
    assert [tested.classes[s.label] for s in tested.val] == ["bee"]
