"""`archdsl data prepare`: copies show the same frames at the same times, and are completed, not overwritten."""

from __future__ import annotations

import csv
import errno
import multiprocessing
import os
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("av")
pytest.importorskip("torch")

import av
import numpy as np
from small_videos import KINDS, RATE, number_of, write

from archdsl.cli import main
from archdsl.files import DataError, EnvironmentFault
from archdsl.train.data.encode import Encoding
from archdsl.train.data.listing import read_split
from archdsl.train.data.prepare import prepare
from archdsl.train.data.videos import probe, read_frames
from archdsl.train.stopping import locked

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Encoding(short_side=32, key_frames=4, crf=10)


def command(*arguments: str | Path) -> int:
    return main(["data", "prepare", *map(str, arguments), "--workers", "0"])


def visible(folder: Path) -> list[str]:
    """The files of a folder, without its lock."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != ".lock")


def test_copies_have_the_same_frames_at_the_same_times(tmp_path: Path) -> None:
    videos, copies = tmp_path / "videos", tmp_path / "copies"
    for name in ("h264_open.mp4", "mpeg4.avi", "mpeg2.ts", "vp9.webm", "h264.mkv"):
        write(videos / name.replace(".", "_") / name, 24, **KINDS[name])
    stamps = [0, 40, 50, 300, 1500, 1540]
    write(videos / "varying.mkv", 6, stamps=[s + 700 for s in stamps])
    assert prepare(videos, copies, QUICK, 0).done == 6
    for path in copies.glob("*/*.mp4"):
        video = probe(path)
        assert (video.width, video.height, video.frames, video.codec) == (48, 32, 24, "h264")
        assert [number_of(f) for f in read_frames(path, [(n + 0.5) / RATE for n in range(24)])] == list(range(24))
        with av.open(str(path)) as container:
            keys = [n for n, packet in enumerate(container.demux(video=0)) if packet.is_keyframe]
        assert max(np.diff(keys)) <= 4
    shown = read_frames(copies / "varying.mp4", [s / 1000 for s in stamps] + [s / 1000 - 0.002 for s in stamps])
    assert [number_of(f) for f in shown] == [0, 1, 2, 3, 4, 5, 0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("degrees", [90, 180])
def test_copies_are_upright_without_a_rotation(degrees: int, tmp_path: Path) -> None:
    original = write(tmp_path / "videos" / "a.mp4", 12, rotate=degrees)
    prepare(tmp_path / "videos", tmp_path / "copies", Encoding(crf=5), 0)
    copy = tmp_path / "copies" / "a.mp4"
    with av.open(str(copy)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(stored.astype(int) - read_frames(original, [0.0])[0].numpy()).mean() < 2
    assert probe(copy).width == (48 if degrees == 90 else 72)


def test_sound_is_left_out_and_small_or_odd_sizes_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "videos" / "a.mkv", 4, size=(31, 49), pixels="yuv444p")
    sounding = tmp_path / "videos" / "b.mp4"
    with av.open(str(path)) as container, av.open(str(sounding), "w") as output:
        picture: Any = output.add_stream("libx264", rate=RATE)
        picture.width, picture.height, picture.pix_fmt = 48, 32, "yuvj420p"
        sound: Any = output.add_stream("aac", rate=16000, layout="mono")
        for frame in container.decode(video=0):
            output.mux(picture.encode(frame.reformat(48, 32, "yuvj420p")))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 2560), np.float32), format="fltp", layout="mono")
        tone.sample_rate = 16000
        output.mux(sound.encode(tone))
        for stream in (picture, sound):
            output.mux(stream.encode(None))
    prepare(tmp_path / "videos", tmp_path / "copies", Encoding(crf=5), 0)
    assert (probe(tmp_path / "copies" / "a.mp4").width, probe(tmp_path / "copies" / "a.mp4").height) == (48, 32)
    with av.open(str(tmp_path / "copies" / "b.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    colours = [read_frames(folder / "b.mp4", [0.0]).float() for folder in (tmp_path / "videos", tmp_path / "copies")]
    assert (colours[0] - colours[1]).abs().mean() < 3  # all of the range of colours, or the range of television


def test_folders_and_lists_are_kept(tmp_path: Path, capsys: Any) -> None:
    videos, copies = tmp_path / "videos", tmp_path / "copies"
    for name in ("a/1.avi", "a/deep/2.MP4", "b/3 x.avi", "b/v.2.webm"):
        path = write(videos / name.replace("MP4", "mp4"), 4, codec="libvpx-vp9" if "webm" in name else "mpeg4")
        path.rename(videos / name)
    (videos / "b" / "up").symlink_to(videos)  # a circle
    lines = ["path,label", "a/1.avi,0", "a/deep/2.MP4,0", '"b/3 x.avi",1', f"{videos}/b/v.2.webm,1"]
    (videos / "train.csv").write_text("\n".join(lines))
    (videos / "notes.md").touch()
    assert command(videos, "-o", copies, "--short-side", "32") == 0
    assert capsys.readouterr().out == "4 videos prepared\n1 other file left out\n"
    assert visible(copies) == ["a/1.mp4", "a/deep/2.mp4", "b/3 x.mp4", "b/v.2.mp4", "prepare.json", "train.csv"]
    split = read_split(copies / "train.csv")
    assert all(os.path.exists(s.path) and s.path.startswith(str(copies)) for s in split.train + split.val)
    (tmp_path / "list.txt").write_text("a/1.avi x\nb/v.2.webm y\n")  # with the suffixes of the originals
    split = read_split(tmp_path / "list.txt", root=copies)
    assert sorted(s.path for s in split.train + split.val) == [f"{copies}/a/1.mp4", f"{copies}/b/v.2.mp4"]
    assert "the videos have other suffixes than in list.txt" in split.note
    assert read_split(tmp_path / "list.txt", root=videos).train[0].path == f"{videos}/a/1.avi"


def test_failures_are_counted_with_reasons(tmp_path: Path, capsys: Any) -> None:
    videos, copies = tmp_path / "videos", tmp_path / "copies"
    good = write(videos / "good.mp4", 48, container={"movflags": "faststart"}).read_bytes()
    (videos / "cut.mp4").write_bytes(good[: len(good) * 2 // 3])
    (videos / "empty.mp4").touch()
    (videos / "text.mp4").write_text("no video\n" * 50)
    (videos / "gone.mp4").symlink_to(tmp_path / "gone")
    assert command(videos, "-o", copies, "--short-side", "32") == 1
    out = capsys.readouterr().out
    assert "1 video prepared" in out
    assert "4 videos failed, listed in failed.csv:" in out
    with (copies / "failed.csv").open(newline="") as file:
        reasons = {row["video"]: row["reason"] for row in csv.DictReader(file)}
    assert re.fullmatch(r"is truncated: has \d+ of 48 frames", reasons["cut.mp4"])
    assert reasons["empty.mp4"] == "is empty (0 bytes)"
    assert "is not a video" in reasons["text.mp4"]
    assert reasons["gone.mp4"] == "no such file"
    assert visible(copies) == ["failed.csv", "good.mp4", "prepare.json"]
    for name in ("cut", "empty", "text", "gone"):
        (videos / f"{name}.mp4").unlink()
    assert command(videos, "-o", copies, "--short-side", "32") == 0
    assert "1 video had been prepared before" in capsys.readouterr().out
    assert not (copies / "failed.csv").exists()


def test_a_copy_is_completed_and_never_overwritten(tmp_path: Path, capsys: Any) -> None:
    videos, copies = tmp_path / "videos", tmp_path / "copies"
    for number in range(3):
        write(videos / f"{number}.mp4", 4)
    (videos / "l.csv").write_text("0.mp4 a\n")
    assert command(videos, "-o", copies) == 0
    (copies / "1.mp4").unlink()
    before = (copies / "0.mp4").stat().st_mtime_ns
    os.utime(videos / "2.mp4", (time.time() + 60, time.time() + 60))
    (copies / "l.csv").write_text("mine\n")
    capsys.readouterr()
    assert command(videos, "-o", copies) == 0
    out = capsys.readouterr().out
    assert "2 videos prepared, 1 of them again, as they have changed; 1 video had been prepared before" in out
    assert f"{copies}/l.csv kept: it differs from" in out
    assert (copies / "0.mp4").stat().st_mtime_ns == before
    for options, message in (
        (["--short-side", "128"], r"other settings \(short_side 256\); choose another"),
        (["-o", str(videos)], "is the folder of the videos; choose another"),
        (["--crf", "60"], "expected 0 to 51"),
    ):
        target = [] if "-o" in options else ["-o", copies]
        assert command(videos, *target, *options) == 2
        assert re.search(message, capsys.readouterr().err)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    assert command(videos, "-o", tmp_path / "mine") == 2
    assert "has files that `archdsl data prepare` has not made" in capsys.readouterr().err
    assert command(videos / "l.csv", "-o", tmp_path / "other") == 2
    assert command(tmp_path / "mine", "-o", tmp_path / "other") == 1
    assert "has no videos" in capsys.readouterr().err
    write(videos / "0.avi", 4, codec="mpeg4")
    with pytest.raises(DataError, match=r"0\.avi and .*0\.mp4: both copies would be"):
        prepare(videos, tmp_path / "other", QUICK, 0)


def test_a_full_disk_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        write(tmp_path / "videos" / f"{number}.mp4", 4)
    calls: list[int] = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(EnvironmentFault, match=r"1\.mp4: No space left on device"):
            prepare(tmp_path / "videos", tmp_path / "copies", QUICK, 0)
    assert visible(tmp_path / "copies") == ["0.mp4", "prepare.json"]
    summary = prepare(tmp_path / "videos", tmp_path / "copies", QUICK, 0)
    assert (summary.done, summary.kept) == (2, 1)


def test_a_killed_call_is_completed_by_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of a video, whose copy does not exist then."""
    videos, copies = tmp_path / "videos", tmp_path / "copies"
    for number in range(3):
        write(videos / f"{number}.mp4", 4)
    process = multiprocessing.get_context("fork").Process(target=prepare, args=(videos, copies, Encoding(), 0))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), 9))
        process.start()
        process.join()
    assert process.exitcode == -9
    assert not list(copies.glob("[0-9].mp4"))
    with locked(copies, "prepares these videos"):
        holder = multiprocessing.get_context("fork").Process(target=exit_with, args=(videos, copies))
        holder.start()
        holder.join()
        assert holder.exitcode == 2
    summary = prepare(videos, copies, Encoding(), 2)
    assert (summary.done, summary.kept, summary.failed) == (3, 0, [])
    assert not list(copies.glob(".*.part"))


def exit_with(videos: Path, copies: Path) -> None:
    """End this process with the exit code of the command."""
    os._exit(command(videos, "-o", copies))
