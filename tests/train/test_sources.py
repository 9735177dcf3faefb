"""Data sets in their published forms: the right videos, classes and splits, and the right frames of folders."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

pytest.importorskip("lightning")

import itertools

import published
import torch
from small_videos import number_of, write

from archdsl.cli import main
from archdsl.files import DataError, UsageError
from archdsl.train.data.check import check_data
from archdsl.train.data.clips import Sampling
from archdsl.train.data.dataset import Clips
from archdsl.train.data.frames import FrameFolder
from archdsl.train.data.listing import Sample, Split, read_split, read_tested
from archdsl.train.data.video import VideoError


def names_of(samples: tuple[Sample, ...], split: Split) -> list[tuple[str, str]]:
    """The name of the file and the class of each video."""
    return [(Path(s.path).name, split.classes[s.label]) for s in samples]


def all_readable(split: Split) -> bool:
    """Each video can be read, as far as its frames."""
    return not check_data(split, workers=0, full=True).faulty


# --- lists as published -----------------------------------------------------------------------------------------------


def test_ucf101(tmp_path: Path) -> None:
    published.ucf101(tmp_path)
    lists = tmp_path / "ucfTrainTestlist"
    split = read_split(lists, root=tmp_path / "UCF-101")
    assert split.classes == ("ApplyEyeMakeup", "Archery")
    assert names_of(split.train, split) == [
        (f"v_{label}_g02_c0{clip}.avi", label) for label in split.classes for clip in (1, 2)
    ]
    assert [name for name, _ in names_of(split.val, split)] == [
        f"v_{label}_g01_c0{clip}.avi" for label in split.classes for clip in (1, 2)
    ]
    assert "from testlist01.txt" in split.note
    assert all_readable(split)
    second = read_split(lists, fold=2)  # UCF-101 is beside the folder of the lists
    assert {Path(s.path).name[-11:-8] for s in second.train} == {"g01"}
    named = read_split(lists / "trainlist01.txt", lists / "testlist01.txt", tmp_path / "UCF-101")
    assert (named.train, named.val, named.classes) == (split.train, split.val, split.classes)
    assert read_split(lists / "trainlist01.txt", root=tmp_path / "UCF-101").val == split.val
    assert read_tested(lists / "testlist01.txt", tmp_path / "UCF-101").val == split.val
    with pytest.raises(UsageError, match=r"--fold 4: .* has the splits 1, 2"):
        read_split(lists, fold=4)


def test_groups_of_ucf101_stay_together(tmp_path: Path) -> None:
    published.ucf101(tmp_path)
    split = read_split(tmp_path / "UCF-101", val_share=0.3)
    groups = [{Path(s.path).name.rpartition("_")[0] for s in part} for part in (split.train, split.val)]
    assert not groups[0] & groups[1]
    assert len(split.train) == len(split.val) == 4
    assert "the videos of each of 4 groups stay together" in split.note


def test_groups_by_a_pattern(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / "ab"[number % 2] / f"person{number // 4}_{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    split = read_split(tmp_path, group=r"person(\d+)")
    people = [{Path(s.path).name.partition("_")[0] for s in part} for part in (split.train, split.val)]
    assert not people[0] & people[1]
    assert people[1]
    with pytest.raises(UsageError, match=r"--group \(: is not a regular expression"):
        read_split(tmp_path, group="(")
    with pytest.raises(UsageError, match="--group actor: matches none"):
        read_split(tmp_path, group="actor")


def test_hmdb51(tmp_path: Path) -> None:
    published.hmdb51(tmp_path)
    split = read_split(tmp_path / "testTrainMulti_7030_splits", root=tmp_path / "hmdb51")
    assert split.classes == ("brush_hair", "cartwheel")
    assert [name[0] for name, _ in names_of(split.train, split)] == ["0", "1", "0", "1"]
    assert [name[0] for name, _ in names_of(split.val, split)] == ["2", "2"]
    assert "split 1 of testTrainMulti_7030_splits" in split.note
    assert "2 lines of other splits ignored" in split.note
    assert all_readable(split)
    second = read_split(tmp_path / "testTrainMulti_7030_splits", fold=2)  # hmdb51 is beside it
    assert [name[0] for name, _ in names_of(second.train, second)] == ["1", "3", "1", "3"]
    with pytest.raises(UsageError, match=r"--fold 3: .* has the splits 1, 2"):
        read_split(tmp_path / "testTrainMulti_7030_splits", fold=3)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("something-something-v1", ("Holding something", "Putting something, something and something on the table")),
        ("jester-v1", ("Doing other things", "Drumming Fingers")),
    ],
)
def test_something_something_v1_and_jester(name: str, labels: tuple[str, str], tmp_path: Path) -> None:
    published.twentybn(tmp_path, name, labels)
    split = read_split(tmp_path / f"{name}-train.csv", root=tmp_path / f"20bn-{name}")
    assert split.classes == labels
    assert names_of(split.train, split) == [(str(n), labels[n % 2]) for n in (1, 2, 3, 4)]
    assert names_of(split.val, split) == [(str(n), labels[n % 2]) for n in (5, 6)]
    assert f"from {name}-validation.csv beside it" in split.note
    assert all_readable(split)
    with pytest.raises(DataError, match=r"test\.csv:1: has no class"):
        read_tested(tmp_path / f"{name}-test.csv")


def test_something_something_v2_finds_its_validation(tmp_path: Path) -> None:
    entries = [{"id": str(n), "template": f"{'Hold' if n % 2 else 'Move'} [something]"} for n in range(6)]
    for part, items in (("train", entries[:4]), ("validation", entries[4:])):
        (tmp_path / f"something-something-v2-{part}.json").write_text(json.dumps(items))
    (tmp_path / "something-something-v2-labels.json").write_text('{"Move something": "0", "Hold something": "1"}')
    for number in range(6):
        (tmp_path / f"{number}.webm").touch()
    split = read_split(tmp_path / "something-something-v2-train.json")
    assert split.classes == ("Move something", "Hold something")
    assert [s.label for s in split.train] == [0, 1, 0, 1]
    assert [Path(s.path).stem for s in split.val] == ["4", "5"]


def test_epic_kitchens(tmp_path: Path) -> None:
    published.epic(tmp_path)
    split = read_split(tmp_path / "EPIC_100_train.csv", label="verb")
    assert split.classes == ("take", "put")
    assert [(Path(s.path).name, s.label, s.frames) for s in split.train] == [
        ("P01_01", 0, (1, 10)), ("P01_01", 1, (11, 20)),
    ]  # fmt: skip
    assert [(Path(s.path).name, s.label, s.frames) for s in split.val] == [("P02_03", 0, (5, 14))]
    clips = Clips(split.train, Sampling(10, 1, 30), (32, 90), training=False, decoder="pyav")
    shown = [number_of(f) for f in clips[0, 1]["clip"][0].permute(1, 2, 3, 0)]
    assert shown == list(range(11, 21))
    nouns = read_split(tmp_path / "EPIC_100_train.csv", label="noun")
    assert nouns.classes == ("pan", "lid", "cup")
    assert [s.label for s in nouns.train + nouns.val] == [2, 2, 1]
    with pytest.raises(UsageError, match="choose --label verb or --label noun"):
        read_split(tmp_path / "EPIC_100_train.csv")


def test_epic_kitchens_as_videos(tmp_path: Path) -> None:
    published.epic(tmp_path)
    for video in ("P01_01", "P02_03"):
        published.video(tmp_path / "videos" / video[:3] / "videos" / f"{video}.mp4")
        path = tmp_path / "videos" / video[:3] / "videos" / f"{video}.mp4"
        path.rename(path.with_suffix(".MP4"))
    split = read_split(tmp_path / "EPIC_100_train.csv", root=tmp_path / "videos", label="noun")
    assert [(s.start, s.end, s.frames) for s in split.train] == [(0.0, 0.2, None), (0.22, 0.4, None)]
    assert all(s.path.endswith(".MP4") for s in split.train)


def test_diving48(tmp_path: Path) -> None:
    published.diving48(tmp_path)
    split = read_split(tmp_path / "Diving48_V2_train.json", root=tmp_path / "rgb")
    assert split.classes == ("Back 15som 05Twis FREE", "Forward 25som NoTwis PIKE")
    assert [s.label for s in split.train + split.val] == [0, 1, 0]
    assert "from Diving48_V2_test.json beside it" in split.note
    assert all_readable(split)


def test_charades(tmp_path: Path) -> None:
    published.charades(tmp_path)
    split = read_split(tmp_path / "Charades_v1_train.csv")
    assert split.task == "multilabel"
    assert split.classes == ("Holding some clothes", "Putting clothes", "Taking a bag")
    assert [(Path(s.path).stem, s.labels) for s in split.train] == [("46GP8", (1, 2)), ("N11GT", ())]
    assert [(Path(s.path).stem, s.labels) for s in split.val] == [("0IH69", (0,))]
    assert "1 video without any class" in split.note
    assert "from Charades_v1_test.csv beside it" in split.note
    assert all_readable(split)
    with pytest.raises(UsageError, match=r"--task classification: .* several classes each, or none"):
        read_split(tmp_path / "Charades_v1_train.csv", task="classification")
    (tmp_path / "Charades_v1_classes.txt").unlink()
    (tmp_path / "Charades_v1_test.csv").unlink()
    alone = read_split(tmp_path / "Charades_v1_train.csv", tmp_path / "Charades_v1_train.csv")
    assert alone.classes == ("c001", "c002")
    published.lines(tmp_path / "wrong.csv", published.CHARADES, "46GP8,,,,,,,,,c092 11.90,24.83,No")
    with pytest.raises(DataError, match=r"wrong\.csv:2: the action 'c092 11\.90'; expected a class, start and end"):
        read_split(tmp_path / "wrong.csv")


def test_a_column_of_one_of_several_labels(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.mp4").touch()
    published.lines(tmp_path / "l.csv", "path,scene,action", "a.mp4,indoor,run", "b.mp4,outdoor,jump")
    split = read_split(tmp_path / "l.csv", tmp_path / "l.csv", label="action")
    assert split.classes == ("jump", "run")
    assert read_split(tmp_path / "l.csv", tmp_path / "l.csv", label="scene").classes == ("indoor", "outdoor")
    with pytest.raises(UsageError, match=r"--label verb: the columns of .* are path, scene, action$"):
        read_split(tmp_path / "l.csv", label="verb")
    with pytest.raises(UsageError, match=r"scene, action; several columns are for --task multilabel or regression"):
        read_split(tmp_path / "l.csv", label="scene,action")


def test_options_without_an_effect_are_refused(tmp_path: Path) -> None:
    for name in ("x/a", "x/b", "y/a", "y/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.mp4").touch()
    published.lines(tmp_path / "l.csv", "x/a.mp4,0", "y/a.mp4,1")
    for data, options, message in (
        (tmp_path, {"label": "verb"}, r"--label verb: is for a list whose header names its columns, and .* is none"),
        (tmp_path / "l.csv", {"label": "verb"}, "--label verb: is for a list whose header"),
        (tmp_path, {"fold": 2}, "--fold 2: is for the splits of UCF101 or HMDB51"),
        (tmp_path / "l.csv", {"group": "a", "val": tmp_path / "l.csv"}, "--group a: is for a random split"),
    ):
        with pytest.raises(UsageError, match=message):
            read_split(data, **options)
    assert len(read_tested(tmp_path / "l.csv", label="verb").val) == 2  # that of a run
    # Those that runs of before may have are left to the command.
    assert read_split(tmp_path / "l.csv", val=tmp_path / "l.csv").unused == ("val_share",)
    assert read_split(tmp_path / "l.csv").unused == ()
    assert read_split(tmp_path).unused == ("root",)


def test_lists_without_classes_are_for_predictions(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    published.lines(tmp_path / "test.txt", "a.mp4")
    for read in (read_split, read_tested):
        with pytest.raises(DataError, match=r"test\.txt:1: has no class; .*, --task regression `value`"):
            read(tmp_path / "test.txt")


def test_duplicates_across_splits_are_found_by_content(tmp_path: Path) -> None:
    for number, name in enumerate(("train/a/1", "train/b/2", "val/a/3")):
        write(tmp_path / f"{name}.mp4", 8 + number, size=(32, 32))
    (tmp_path / "val" / "b").mkdir()
    copied = (tmp_path / "train" / "b" / "2.mp4").read_bytes()
    (tmp_path / "val" / "b" / "other_name.mp4").write_bytes(copied)
    (tmp_path / "val" / "b" / "same_size.mp4").write_bytes(copied[:-1] + b"x")
    published.frames(tmp_path / "train" / "a" / "frames")
    published.frames(tmp_path / "val" / "a" / "copy")
    published.frames(tmp_path / "val" / "a" / "longer", 9)
    report = check_data(read_split(tmp_path), workers=0)
    pairs = [tuple(str(Path(p).relative_to(tmp_path)) for p in pair) for pair in report.duplicates]
    assert sorted(pairs) == [("train/a/frames", "val/a/copy"), ("train/b/2.mp4", "val/b/other_name.mp4")]
    assert "the same content in training and validation: 2" in report.as_text()
    assert not report.in_both


@pytest.fixture(scope="module")
def jester(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in `run/`, trained for an epoch on a set like Jester, beside it."""
    folder = tmp_path_factory.mktemp("jester")
    published.twentybn(folder, "jester-v1", ("Doing other things", "Drumming Fingers"))
    spec = "arch tiny\nparam classes = 2\ninput clip: video[3, 4, 16, 16]\n"
    (folder / "tiny.arch").write_text(f"{spec}stage one {{ conv(4, 3) -> relu }}\nhead: avgpool -> linear(classes)\n")
    how = "--epochs 1 --batch 2 --workers 0 --device cpu --recipe test_clips=1 --recipe test_crops=1".split()
    data = folder / "jester-v1-train.csv"
    assert main(["train", str(folder / "tiny.arch"), "--data", str(data), "-o", str(folder / "run"), *how]) == 0
    return folder


def test_a_network_is_trained_on_folders_of_frames(jester: Path) -> None:
    assert (jester / "run" / "classes.txt").read_text() == "Doing other things\nDrumming Fingers\n"
    assert not (jester / "run" / "skipped.csv").exists()
    metrics = json.loads((jester / "run" / "report" / "metrics.json").read_text())
    assert (metrics["videos"], metrics["skipped"]) == (2, 0)


def test_predictions_for_lists_and_folders(jester: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict = ["predict", "--run", str(jester / "run"), "--workers", "0", "--device", "cpu"]
    test = jester / "jester-v1-test.csv"  # without classes
    assert main([*predict, str(test), "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["video"] == str(jester / "20bn-jester-v1" / "7")
    assert sum(best["probability"] for best in answer["classes"]) == pytest.approx(1)
    published.ucf101(tmp_path)
    videos = tmp_path / "UCF-101" / "Archery"
    assert main([*predict, str(videos), str(test), "--top", "1", "-o", str(tmp_path / "a.csv")]) == 0
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(r["video"]).name for r in rows] == [*sorted(p.name for p in videos.iterdir()), "7"]
    assert all(r["rank"] == "1" and float(r["probability"]) >= 0.5 for r in rows)


def test_predictions_for_windows(jester: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict = ["predict", "--run", str(jester / "run"), "--workers", "0", "--device", "cpu"]
    path = write(tmp_path / "long.mp4", 90, size=(32, 32))  # 3.6 s
    assert main([*predict, str(path), "--window", "2s", "--every", "1s", "-o", str(tmp_path / "w.json")]) == 0
    answers = json.loads((tmp_path / "w.json").read_text())
    assert [(a["start"], round(a["end"], 3)) for a in answers] == [(0.0, 2.0), (1.0, 3.0), (pytest.approx(1.6), 3.6)]
    assert main([*predict, str(path), "--window", "5"]) == 0
    assert "long.mp4 [0 to 3.6]" in capsys.readouterr().out
    assert main([*predict, str(path), "--every", "1"]) == 2
    with pytest.raises(SystemExit):
        main([*predict, str(path), "--window", "0"])


def test_a_list_without_classes_is_checked(jester: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(jester / "jester-v1-test.csv"), "--workers", "0"]) == 0
    out = capsys.readouterr().out
    assert "1 video, without classes" in out
    assert "1 of 1 videos can be used" in out


# --- folders of frames ------------------------------------------------------------------------------------------------


def test_rawframes(tmp_path: Path) -> None:
    published.rawframes(tmp_path)
    split = read_split(tmp_path / "rawframes", val_share=0.3)
    assert split.classes == ("jump", "run")
    assert len(split.train) == 4
    assert len(split.val) == 2
    assert all_readable(split)
    listed = read_split(tmp_path / "train_rawframes.txt", root=tmp_path / "rawframes")
    assert sorted(s.path for s in listed.train + listed.val) == sorted(s.path for s in split.train + split.val)
    assert listed.classes == ("0", "1")
    clips = Clips(split.train, Sampling(8, 1, 25), (32, 90), training=False, decoder="pyav")
    assert [number_of(f) for f in clips[0, 0]["clip"][0].permute(1, 2, 3, 0)] == list(range(1, 9))
    every = Clips(split.train, Sampling(4, 2, 25), (32, 90), training=True, decoder="pyav")  # an interval counts frames
    shown = [number_of(f) for f in every[0, 0]["clip"][0].permute(1, 2, 3, 0)]
    assert [b - a for a, b in itertools.pairwise(shown)] == [2, 2, 2]


@pytest.mark.parametrize("name", ["{}.jpg", "img_{:05}.jpg", "frame_{:010}.png", "a video-{:03}.bmp", "{:06}.WEBP"])
@pytest.mark.parametrize("first", [0, 1, 95])
def test_names_of_frames(name: str, first: int, tmp_path: Path) -> None:
    published.frames(tmp_path / "v", 12, name, first)
    with FrameFolder(str(tmp_path / "v"), 25.0) as reader:
        assert (reader.video.frames, reader.video.missing, reader.video.duration) == (12, 0, 12 / 25)
        frames = reader.read([(n + 0.5) / 25 for n in range(12)])
    assert [number_of(f) for f in frames] == list(range(first, first + 12))


def test_faults_of_folders_of_frames(tmp_path: Path) -> None:
    published.frames(tmp_path / "gap")
    (tmp_path / "gap" / "00004.jpg").unlink()
    published.frames(tmp_path / "broken")
    (tmp_path / "broken" / "00005.jpg").write_bytes((tmp_path / "broken" / "00005.jpg").read_bytes()[:300])
    published.frames(tmp_path / "size")
    published.Image.new("RGB", (20, 20)).save(tmp_path / "size" / "00003.jpg")
    published.frames(tmp_path / "two", name="a_{}.jpg")
    published.frames(tmp_path / "two", name="b_{}.jpg")
    (tmp_path / "none").mkdir()
    expected = {
        "gap": "has 7 of 8 frames", "broken": "cannot be decoded at 00005.jpg", "size": "00003.jpg has 20×20",
        "two": r"several sequences of frames: a_\*\.jpg, b_\*\.jpg", "none": "a folder without frames",
    }  # fmt: skip
    samples = tuple(Sample(str(tmp_path / name), 0) for name in expected)
    report = check_data(Split(samples, (), ("x",), ""), workers=0, full=True)
    for finding, message in zip(report.findings, expected.values(), strict=True):
        assert re.search(message, finding.problem), finding.problem
    with pytest.raises(VideoError, match="has no frames 20 to 30; its frames are 1 to 8"):
        FrameFolder(str(tmp_path / "gap"), 25.0, (20, 30))


def test_images_in_the_folder_of_a_class_are_no_video(tmp_path: Path) -> None:
    published.frames(tmp_path / "cat")
    published.frames(tmp_path / "dog")
    with pytest.raises(DataError, match=r"put the frames of each video into a folder of its own, .*img_00001\.jpg"):
        read_split(tmp_path)


def test_gif_and_webm_in_folders(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.gif", 12, codec="gif", pixels="rgb8", size=(32, 90))
    write(tmp_path / "b" / "2.webm", 12, codec="libvpx-vp9", size=(32, 90))
    split = read_split(tmp_path)
    assert names_of(split.train, split) == [("1.gif", "a"), ("2.webm", "b")]
    clips = Clips(split.train, Sampling(12, 1, 25), (32, 90), training=False, decoder="pyav")
    for index in range(2):
        item = clips[0, index]
        assert not item["problems"]
        assert [number_of(f) for f in item["clip"][0].permute(1, 2, 3, 0)] == list(range(12))
    assert item["clip"].dtype == torch.uint8
