"""From videos to clips: the right frames from every container, and damaged videos that do no harm."""

from __future__ import annotations

import csv
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("av")
pytest.importorskip("torch")

import av
import numpy as np
import torch
from small_videos import KINDS, RATE, REAL, number_of, numbered, write
from torch.nn import functional

from archdsl.cli import main
from archdsl.files import CommandError, DataError, UsageError
from archdsl.train.data import clips as moments
from archdsl.train.data.check import check_data
from archdsl.train.data.clips import Box, Sampling, cut, training_box, training_times
from archdsl.train.data.dataset import Clips, collate
from archdsl.train.data.listing import Sample, Split, read_split
from archdsl.train.data.videos import Reader, VideoError, chosen_decoder, probe, read_frames


def numbers(path: Path, times: list[float]) -> list[int]:
    return [number_of(frame) for frame in read_frames(path, times)]


# --- the right frame --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_each_frame_is_that_of_its_time(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, **KINDS[name])
    chosen = random.Random(name)
    assert numbers(path, [(n + 0.5) / RATE for n in range(60)]) == list(range(60))
    for _ in range(12):
        wanted = [chosen.randrange(60) for _ in range(4)]
        assert numbers(path, [(n + chosen.uniform(0.05, 0.9)) / RATE for n in wanted]) == wanted


def test_probe_reads_frames_rate_and_size(tmp_path: Path) -> None:
    for name in ("h264.mp4", "h264.mkv", "mpeg4.avi", "h264.ts"):
        video = probe(write(tmp_path / name, codec="mpeg4" if "mpeg4" in name else "libx264"))
        assert (video.width, video.height, video.frames, video.missing) == (72, 48, 60, 0)
        assert video.duration == pytest.approx(60 / RATE, abs=1e-3)
        assert video.fps == pytest.approx(RATE, rel=1e-3)


@pytest.mark.parametrize("name", ["varying.mp4", "varying.mkv"])
@pytest.mark.parametrize("begin", [0, 4321])
def test_frames_of_varying_length(name: str, begin: int, tmp_path: Path) -> None:
    chosen = random.Random(name)
    stamps = [begin]
    while len(stamps) < 80:
        stamps.append(stamps[-1] + chosen.choice([10, 17, 40, 41, 250, 1200]))
    path = write(tmp_path / name, len(stamps), stamps=stamps)
    assert numbers(path, [(s - begin) / 1000 for s in stamps]) == list(range(80))
    for _ in range(20):
        times = [chosen.uniform(0, (stamps[-1] - begin) / 1000) for _ in range(3)]
        expected = [max(n for n, s in enumerate(stamps) if s - begin <= 1000 * t + 0.5) for t in times]
        assert numbers(path, times) == expected


def test_times_in_any_order_twice_and_past_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    assert numbers(path, [2.0, 0.0, 99.0, 2.0, -1.0, 1.0]) == [50, 0, 59, 50, 0, 25]
    with pytest.raises(ValueError, match="`times` is empty"):
        read_frames(path, [])


def test_only_what_is_near_is_decoded(tmp_path: Path) -> None:
    for name in ("long.mp4", "long.mkv"):
        path = write(tmp_path / name, 400)
        with Reader(path) as reader:
            frames = reader.read([(n + 0.5) / RATE for n in (20, 140, 260, 380)])
            assert [number_of(f) for f in frames] == [20, 140, 260, 380]
            assert reader.decoded <= 4 * 16, name  # a group of 12 pictures, and those that come out late


def test_odd_sizes_and_one_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.mp4", 1, size=(49, 75), pixels="yuv444p")
    frames = read_frames(path, [0.0, 5.0])
    assert frames.shape == (2, 49, 75, 3)
    assert frames.dtype == torch.uint8
    assert (frames[0].int() - torch.from_numpy(numbered(0, 49, 75)).int()).abs().max() < 12


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_turned_videos_are_upright(degrees: int, tmp_path: Path) -> None:
    plain = read_frames(write(tmp_path / "plain.mp4"), [1.0])[0]
    turned = read_frames(write(tmp_path / "turned.mp4", rotate=degrees), [1.0])[0]
    expected = np.rot90(plain.numpy(), degrees // 90)  # a matrix of display turns counterclockwise
    assert np.array_equal(turned.numpy(), expected)


def test_a_view_is_all_that_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    whole = read_frames(path, [0.5, 1.5])
    assert torch.equal(read_frames(path, [0.5, 1.5], view=lambda f: f[:3, :4]), whole[:, :3, :4])


def test_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen_decoder("pyav") == "pyav"
    with pytest.raises(ValueError, match="unknown decoder 'ffmpeg'"):
        chosen_decoder("ffmpeg")
    monkeypatch.setitem(__import__("sys").modules, "torchcodec", None)
    assert chosen_decoder("auto") == "pyav"
    with pytest.raises(ValueError, match="install torchcodec with pip"):
        chosen_decoder("torchcodec")


# --- damaged videos ---------------------------------------------------------------------------------------------------


def audio_only(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def test_what_is_no_video(tmp_path: Path) -> None:
    audio_only(tmp_path / "audio.mp4")
    write(tmp_path / "none.mkv", 0)
    write(tmp_path / "none.avi", 0, codec="mpeg4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "random.mp4").write_bytes(random.Random(1).randbytes(20_000))
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    (tmp_path / "folder.mp4").mkdir()
    expected = {
        "audio.mp4": "no video stream", "none.mkv": "ends before its first frame",
        "none.avi": r"has 0 frames|it has no frames",
        "empty.mp4": r"is empty \(0 bytes\)", "random.mp4": "is not a video", "text.mp4": "is not a video",
        "folder.mp4": "is a folder", "gone.mp4": "no such file", "nul\0.mp4": "cannot be opened",
    }  # fmt: skip
    for name, reason in expected.items():
        for read in (probe, lambda p: read_frames(p, [0.0])):
            with pytest.raises(VideoError, match=reason) as caught:
                read(tmp_path / name)
            assert caught.value.path == str(tmp_path / name)


def test_another_suffix_does_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4").rename(tmp_path / "a.avi")
    assert numbers(path, [1.0]) == [25]


def damaged(data: bytes, chosen: random.Random) -> bytes:
    """A copy that is cut short, has other bytes here and there or lacks some in the middle."""
    kind = chosen.randrange(4)
    if kind == 0:
        return data[: chosen.randrange(len(data))]
    if kind == 1:
        begin = chosen.randrange(len(data))
        return data[:begin] + data[begin + chosen.randrange(5000) :]
    copy = bytearray(data)
    begin, length = (0, len(data)) if kind == 2 else (chosen.choice([0, max(0, len(data) - 3000)]), 3000)
    for _ in range(chosen.choice([1, 10, 100])):
        copy[min(len(copy) - 1, begin + chosen.randrange(length))] = chosen.randrange(256)
    return bytes(copy)


def survive(path: Path) -> str:
    """Reads what may be damaged: frames of the right shape, or a reason."""
    reason, frames = None, torch.empty(0)
    try:
        duration = probe(path).duration
        frames = read_frames(path, [duration * (n + 0.5) / 4 for n in range(4)], view=lambda f: f[:4, :4])
    except VideoError as error:
        reason = error
    if reason is None:
        assert frames.dtype == torch.uint8
        assert frames.shape[0] == 4
        return "read"
    assert reason.path == str(path)
    assert 0 < len(str(reason)) < 200
    assert "\n" not in str(reason)
    return "refused"


@pytest.mark.parametrize("name", ["h264.mp4", "vp9.webm", "mpeg4.avi", "h264.ts"])
def test_damaged_videos_are_read_or_refused(name: str, tmp_path: Path) -> None:
    data = write(tmp_path / name, **KINDS[name]).read_bytes()
    found: Counter[str] = Counter()
    for seed in range(40):
        path = tmp_path / f"damaged{Path(name).suffix}"
        path.write_bytes(damaged(data, random.Random(f"{name} {seed}")))
        found[survive(path)] += 1
    assert found["refused"]
    assert found["read"]


def test_frames_that_cannot_be_decoded_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 96, **{"x264-params": "scenecut=0"})
    with av.open(str(path)) as container:
        entries = [(e.pos, e.size) for e in container.streams.video[0].index_entries]  # freed with the container
    data = bytearray(path.read_bytes())
    for position, size in entries[48:72]:  # two groups of pictures
        data[position : position + size] = bytes(size)
    path.write_bytes(data)
    assert numbers(path, [10 / RATE, 80.5 / RATE]) == [10, 80]
    with pytest.raises(VideoError, match=r"cannot be decoded at 2\.4"):
        read_frames(path, [10 / RATE, 60.5 / RATE])


def test_a_closed_video_has_no_properties_to_ask_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 8)
    with Reader(path) as reader:
        reader.read([0])
    with pytest.raises(ValueError, match="closed"):  # PyAV ends the process
        _ = reader.video
    with Reader(path) as reader:
        assert reader.video.frames == 8
    assert reader.video.frames == 8


def test_truncated_videos_have_the_frames_that_are_left(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 96, container={"movflags": "faststart"})
    with av.open(str(path)) as container:
        entries = [(e.pos, e.size) for e in container.streams.video[0].index_entries]  # freed with the container
    path.write_bytes(path.read_bytes()[: sum(entries[59])])  # 60 pictures in the order of decoding
    video = probe(path)
    assert (video.frames, video.missing) == (60, 36)
    assert numbers(path, [56.5 / RATE]) == [56]
    with pytest.raises(VideoError, match="ends after"):
        read_frames(path, [90 / RATE])


# --- real videos ------------------------------------------------------------------------------------------------------


def real_videos() -> list[Path]:
    return sorted(p for p in REAL.glob("*") if p.suffix in (".mp4", ".avi")) if REAL.is_dir() else []


@pytest.mark.skipif(not real_videos(), reason="no real videos stand beside the repository")
@pytest.mark.parametrize("path", real_videos(), ids=lambda p: p.name)
def test_real_videos(path: Path, tmp_path: Path) -> None:
    video = probe(path)
    with av.open(str(path)) as container:
        corners = [f.to_ndarray(format="rgb24")[::8, ::8] for f in container.decode(video=0)]
    assert video.frames == len(corners)
    chosen = random.Random(path.name)
    for wanted in ([chosen.randrange(video.frames) for _ in range(3)], [0, video.frames - 1]):
        times = [(n + 0.5) * video.duration / video.frames for n in wanted]
        frames = read_frames(path, times, view=lambda f: f[::8, ::8])
        for frame, number in zip(frames, wanted, strict=True):
            assert np.array_equal(frame.numpy(), corners[number]), number
    if path.stat().st_size < 600_000:
        data = path.read_bytes()
        for seed in range(8):
            copy = tmp_path / f"damaged{chosen.choice(['.mp4', '.avi', '.webm'])}"
            copy.write_bytes(damaged(data, random.Random(f"{path.name} {seed}")))
            survive(copy)


# --- moments ----------------------------------------------------------------------------------------------------------


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_dense_times() -> None:
    sampling = Sampling(frames=8, interval=4, fps=30)
    begins: list[float] = []
    for seed in range(300):
        times = training_times(sampling, 10.0, 250, generator(seed))
        assert np.diff(times) == pytest.approx(4 / 30)
        begins.append(times[0])
    last = 10 - 7 * 4 / 30 - 0.02  # the last clip ends in the last frame, which is shown for 0.04 s
    assert 0.02 <= min(begins) < 0.3
    assert last - 0.3 < max(begins) <= last
    assert moments.test_times(sampling, 10.0, 250, 0, 1)[0] == pytest.approx((0.02 + last) / 2)
    evenly = [moments.test_times(sampling, 10.0, 250, n, 5)[0] for n in range(5)]
    assert evenly == pytest.approx(np.linspace(0.02, last, 5))


def test_a_video_that_spans_less_than_a_clip_is_used_as_a_whole() -> None:
    sampling = Sampling(frames=8, interval=4, fps=30)
    times = training_times(sampling, 0.8, 20, generator())
    assert times == pytest.approx([(n + 0.5) * 0.1 for n in range(8)])
    with pytest.raises(VideoError, match="has 7 frames, a clip needs 8"):
        training_times(sampling, 5.0, 7, generator())
    with pytest.raises(VideoError, match="has 1 frame, a clip needs 8"):
        moments.test_times(sampling, 5.0, 1, 0, 1)


@pytest.mark.parametrize(
    ("short", "frames", "shown"),
    [
        ("loop", 5, [0, 2, 4, 1, 3, 0, 2, 4]),
        ("hold", 5, [0, 2, 4, 4, 4, 4, 4, 4]),
        ("loop", 1, [0] * 8),
        ("hold", 1, [0] * 8),
        ("loop", 10, [0, 2, 4, 6, 8, 0, 2, 4]),
        ("hold", 10, [0, 2, 4, 6, 8, 9, 9, 9]),
        ("loop", 41, [13, 15, 17, 19, 21, 23, 25, 27]),  # long enough: as always
    ],
)
def test_videos_shorter_than_a_clip(short: str, frames: int, shown: list[int]) -> None:
    sampling = Sampling(frames=8, interval=2, fps=25, short=short)
    times = moments.test_times(sampling, frames / 25, frames, 0, 1)
    assert [int(t * 25) for t in times] == shown
    random_times = training_times(sampling, frames / 25, frames, generator())
    assert all(0 <= t < frames / 25 for t in random_times)
    if frames <= 10:
        assert random_times == times
    segments = Sampling(frames=8, interval=2, fps=25, rule="segments", short=short)
    assert [int(t * 25) for t in moments.test_times(segments, 0.16, 4, 0, 1)] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_video_of_one_frame_is_a_clip(tmp_path: Path) -> None:
    path = write(tmp_path / "one.mp4", 1)
    for short in ("loop", "hold"):
        sampling = Sampling(4, 5, 25, short=short)
        for training in (True, False):
            item = Clips([Sample(str(path), 0)], sampling, (24, 24), training=training, decoder="pyav")[0, 0]
            assert not item["problems"]
            assert item["clip"].any()
        split = Split((Sample(str(path), 0),), (), ("x",), "")
        assert not check_data(split, sampling, workers=0).short


def test_times_by_segments() -> None:
    sampling = Sampling(frames=8, interval=1, fps=30, rule="segments")
    assert moments.test_times(sampling, 4.0, 100, 0, 1) == pytest.approx([0.25 + 0.5 * n for n in range(8)])
    drawn = [training_times(sampling, 4.0, 100, generator(s)) for s in range(50)]
    for times in drawn:
        assert all(0.5 * n <= t < 0.5 * (n + 1) for n, t in enumerate(times))
    assert len({times[3] for times in drawn}) == 50


@pytest.mark.parametrize(
    "values", [(0, 1, 30, "dense"), (8, 0, 30, "dense"), (8, 1, 30, "sparse"), (8, 1, 30, "dense", "x")]
)
def test_sampling_that_is_none(values: Any) -> None:
    with pytest.raises(ValueError, match=r"must be positive|unknown rule|unknown choice"):
        Sampling(*values)


# --- the part of the picture ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(256, 340), (100, 80), (17, 2000), (1080, 1920), (1, 1)])
@pytest.mark.parametrize("crop", [(224, 224), (112, 168)])
@pytest.mark.parametrize("area", [None, (0.08, 1.0)])
def test_random_boxes_lie_within(height: int, width: int, crop: tuple[int, int], area: Any) -> None:
    flips = 0
    for seed in range(100):
        box = training_box(height, width, crop, (8 / 7, 10 / 7), area, True, generator(seed))
        assert box.top >= 0
        assert box.top + box.height <= height
        assert box.left >= 0
        assert box.left + box.width <= width
        assert min(box.height, box.width) >= 1
        if area is None:  # the crop's own shape, of the scaled picture
            scale = max(crop[0] / height, crop[1] / width)
            assert crop[0] / (scale * 10 / 7) - 1 <= box.height <= crop[0] / (scale * 8 / 7) + 1
        elif min(height, width) > 50 and width * 3 < height * 16:
            shape = box.width / box.height * crop[0] / crop[1]
            assert 0.7 < shape < 1.4
            assert 0.07 < box.height * box.width / (height * width) <= 1
        flips += box.flip
    assert 30 < flips < 70
    assert not any(training_box(9, 9, (4, 4), None, None, False, generator(s)).flip for s in range(20))


def test_boxes_of_a_test() -> None:
    three = [moments.test_box(256, 340, (224, 224), 256 / 224, n, 3) for n in range(3)]
    assert [(b.top, b.left, b.height, b.width) for b in three] == [
        (16, 0, 224, 224), (16, 58, 224, 224), (16, 116, 224, 224),
    ]  # fmt: skip
    upright = [moments.test_box(340, 256, (256, 256), 1.0, n, 3).top for n in range(3)]
    assert upright == [0, 42, 84]
    assert moments.test_box(340, 256, (256, 256), 1.0, 0, 1) == Box(42, 0, 256, 256)
    small = moments.test_box(30, 50, (224, 224), 1.0, 0, 1)
    assert (small.top, small.left, small.height, small.width) == pytest.approx((0, 10, 30, 30))


def test_cutting_is_scaling_the_picture_and_cropping_that() -> None:
    frames = torch.randint(0, 256, (2, 90, 140, 3), generator=generator(), dtype=torch.uint8)
    scaled = functional.interpolate(frames.permute(0, 3, 1, 2).float(), size=(64, 100), mode="bilinear")
    box = Box(5 * 90 / 64, 17 * 140 / 100, 48 * 90 / 64, 56 * 140 / 100)
    expected = scaled[:, :, 5:53, 17:73]
    found = cut(frames, box, (48, 56))
    assert found.shape == (3, 2, 48, 56)
    assert found.dtype == torch.uint8
    assert (found.transpose(0, 1).float() - expected).abs().max() <= 1
    flipped = cut(frames, Box(box.top, box.left, box.height, box.width, flip=True), (48, 56))
    assert torch.equal(flipped, found.flip(3))


def test_cutting_whole_pixels() -> None:
    frames = torch.randint(0, 256, (2, 40, 50, 3), generator=generator(), dtype=torch.uint8)
    part = frames[:, 3:23, 7:37].permute(3, 0, 1, 2)
    assert torch.equal(cut(frames, Box(3, 7, 20, 30), (20, 30)), part)
    expected = functional.interpolate(part.transpose(0, 1).float(), size=(33, 47), mode="bilinear")
    assert (cut(frames, Box(3, 7, 20, 30), (33, 47)).transpose(0, 1).float() - expected).abs().max() <= 1
    assert torch.equal(cut(frames[:, :1, :1], Box(0, 0, 1, 1), (2, 2))[:, :, 1, 1], frames[:, 0, 0].T)


# --- the data set -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of two classes, with a video that is none in each."""
    place = tmp_path_factory.mktemp("videos")
    for name in ("cat", "dog"):
        for number in range(4):
            write(place / name / f"{number}.mp4", 30 + 5 * number)
        (place / name / "broken.mp4").write_bytes(b"no video")
        (place / name / ".hidden.mp4").write_bytes(b"")
        (place / name / "notes.txt").write_text("none")
    return place


def samples_of(folder: Path) -> list[Sample]:
    paths = sorted(p for p in folder.glob("*/*.mp4") if not p.name.startswith("."))
    return [Sample(str(p), int(p.parent.name == "dog")) for p in paths]


def clips_of(samples: list[Sample], *, training: bool, **more: Any) -> Clips:
    return Clips(samples, Sampling(4, 5, 25), (24, 24), training=training, seed=3, decoder="pyav", **more)


def loaded(clips: Clips, keys: list[tuple[int, int]], workers: int) -> dict[tuple[int, int], Any]:
    loader = torch.utils.data.DataLoader(clips, batch_size=1, sampler=keys, num_workers=workers, collate_fn=collate)
    return dict(zip(keys, loader, strict=True))


def test_clips_depend_on_seed_epoch_and_index_alone(folder: Path) -> None:
    clips = clips_of(samples_of(folder), training=True, jitter=(8 / 7, 10 / 7), flip=True)
    keys = [(epoch, index) for epoch in range(2) for index in range(len(clips))]
    plain = {key: clips[key] for key in keys}
    mixed = random.Random(0).sample(keys, len(keys))
    for workers, order in ((0, mixed), (1, keys), (2, mixed)):
        found = loaded(clips, order, workers)
        for key in keys:
            assert torch.equal(found[key]["clip"][0], plain[key]["clip"]), (workers, key)
            assert torch.equal(found[key]["label"], plain[key]["label"][None])
            assert found[key]["problems"] == plain[key]["problems"]
    first = [k for k in keys if k[0] == 0 and not plain[k]["problems"]]
    assert all(not torch.equal(plain[k]["clip"], plain[1, k[1]]["clip"]) for k in first)
    assert not torch.equal(plain[0, 0]["clip"], plain[0, 1]["clip"])


def test_faulty_videos_in_training_are_replaced(folder: Path) -> None:
    samples = samples_of(folder)
    clips = clips_of(samples, training=True)
    bad = next(n for n, s in enumerate(samples) if s.path.endswith("dog/broken.mp4"))
    item = clips[0, bad]
    assert item["clip"].shape == (1, 3, 4, 24, 24)
    assert (item["index"], item["label"]) == ((bad + 1) % len(samples), samples[(bad + 1) % len(samples)].label)
    assert item["problems"] == [(samples[bad].path, "is not a video, or is damaged at the start")]
    with pytest.raises(VideoError, match="none of 2 videos can be used"):
        clips_of([samples[bad], Sample("gone.mp4", 0)], training=True)[0, 0]


def test_views_of_a_test(folder: Path) -> None:
    sample = Sample(str(folder / "cat" / "3.mp4"), 0)
    clips = clips_of([sample, Sample("gone.mp4", 1)], training=False, clips=3, crops=3, test_scale=1.0)
    item = clips[0, 0]
    assert item["clip"].shape == (9, 3, 4, 24, 24)
    whole = read_frames(sample.path, [t for n in range(3) for t in moments.test_times(clips.sampling, 1.8, 45, n, 3)])
    for clip in range(3):
        for crop in range(3):
            expected = cut(whole[4 * clip : 4 * clip + 4], moments.test_box(48, 72, (24, 24), 1.0, crop, 3), (24, 24))
            assert torch.equal(item["clip"][3 * clip + crop], expected), (clip, crop)
    batch = collate([item, clips[0, 1]])
    assert batch["clip"].shape == (2, 9, 3, 4, 24, 24)
    assert batch["label"].tolist() == [0, 1]
    assert batch["index"].tolist() == [0, -1]
    assert not batch["clip"][1].any()
    assert batch["problems"] == [("gone.mp4", "no such file")]


def test_shuffled_frames_are_the_same_ones(folder: Path) -> None:
    sample = Sample(str(folder / "cat" / "3.mp4"), 0)
    plain = clips_of([sample], training=False)[0, 0]["clip"][0]
    clips = clips_of([sample], training=False, shuffle_frames=True)
    orders: set[tuple[int, ...]] = set()
    for epoch in range(8):
        shuffled = clips[epoch, 0]["clip"][0]
        orders.add(tuple(next(n for n in range(4) if torch.equal(plain[:, n], shuffled[:, m])) for m in range(4)))
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len(orders) > 2


def test_a_part_of_a_video(folder: Path) -> None:
    path = str(folder / "dog" / "3.mp4")  # 45 frames
    clips = Clips([Sample(path, 0, 0.8, 1.2)], Sampling(4, 2, 25), (48, 72), training=True, seed=0, decoder="pyav")
    for epoch in range(10):
        shown = [number_of(f) for f in clips[epoch, 0]["clip"][0].permute(1, 2, 3, 0)]
        assert shown[0] >= 20
        assert shown[-1] <= 29
        assert np.diff(shown).tolist() == [2, 2, 2]
    late = clips_of([Sample(path, 0, 7.0, 9.0)], training=False)
    assert late[0, 0]["problems"] == [(path, "lasts 1.80 s, but its part starts at 7.00 s")]


# --- lists ------------------------------------------------------------------------------------------------------------


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def names_of(samples: tuple[Sample, ...], split: Split, folder: Path) -> list[tuple[str, str]]:
    return sorted((str(Path(s.path).relative_to(folder)), split.classes[s.label]) for s in samples)


def test_a_folder_with_classes(folder: Path) -> None:
    split = read_split(folder)
    assert split.classes == ("cat", "dog")
    assert len(split.train) == 8
    assert len(split.val) == 2
    assert {s.label for s in split.val} == {0, 1}
    assert all(Path(s.path).parent.name == split.classes[s.label] for s in split.train + split.val)
    assert "4 other files" in split.note
    assert read_split(folder, seed=0) == split
    assert any(read_split(folder, seed=n).val != split.val for n in range(1, 6))


def test_the_split_does_not_depend_on_where_the_folder_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = read_split(folder)
    monkeypatch.chdir(folder)
    here = read_split(Path())
    assert [Path(s.path).absolute() for s in here.val] == [Path(s.path) for s in split.val]
    assert [s.label for s in here.train] == [s.label for s in split.train]


def test_train_can_be_a_class(tmp_path: Path) -> None:
    touched(tmp_path, "train/1.mp4", "train/2.mp4", "car/1.mp4")
    assert read_split(tmp_path).classes == ("car", "train")


def test_the_split_does_not_depend_on_the_order_of_a_list(tmp_path: Path) -> None:
    lines = [f"{n}.mp4 {'abc'[n % 3]}" for n in range(60)] + ["x.mp4 d", "y.mp4 d", "z.mp4 e"]
    touched(tmp_path, *[line.split()[0] for line in lines])
    kept: list[set[Sample]] = []
    for order in range(3):
        random.Random(order).shuffle(lines)
        (tmp_path / "list.txt").write_text("\n".join(lines))
        split = read_split(tmp_path / "list.txt")
        kept.append(set(split.val))
        assert not set(split.train) & set(split.val)
        assert len(split.train) + len(split.val) == 63
    assert kept[0] == kept[1] == kept[2]
    assert Counter(split.classes[s.label] for s in kept[0]) == {"a": 4, "b": 4, "c": 4, "d": 1}


@pytest.mark.parametrize("val", ["val", "validation", "test"])
def test_folders_for_training_and_validation(val: str, tmp_path: Path) -> None:
    touched(tmp_path, "train/a/1.mp4", "train/a/deep/2.webm", "train/b/3.avi", f"{val}/a/4.MP4")
    split = read_split(tmp_path)
    assert names_of(split.train, split, tmp_path) == [
        ("train/a/1.mp4", "a"), ("train/a/deep/2.webm", "a"), ("train/b/3.avi", "b"),
    ]  # fmt: skip
    assert names_of(split.val, split, tmp_path) == [(f"{val}/a/4.MP4", "a")]
    named = read_split(tmp_path / "train", tmp_path / val)
    assert (named.train, named.val, named.classes) == (split.train, split.val, split.classes)


LISTS = {
    "plain.txt": "a.mp4 0\nb.mp4 1\nc d.mp4 1\n".replace("c d", '"c d"').replace('d".mp4', 'd.mp4"'),
    "commas.csv": 'a.mp4,0\nb.mp4,1\n"c d.mp4",1\n',
    "tabs.tsv": "a.mp4\t0\n\nb.mp4\t1\nc d.mp4\t1\n",
    "header.csv": "label,other,video\r\n0,x,a.mp4\r\n1,y,b.mp4\r\n1,z,c d.mp4\r\n",
    "bom.csv": "\ufeffpath, class\na.mp4, 0\nb.mp4, 1\nc d.mp4, 1\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_forms_of_lists(name: str, tmp_path: Path) -> None:
    touched(tmp_path, "videos/a.mp4", "videos/b.mp4", "videos/c d.mp4")
    (tmp_path / name).write_bytes(LISTS[name].encode())
    split = read_split(tmp_path / name, tmp_path / name, root=tmp_path / "videos")
    assert split.classes == ("0", "1")
    expected = [("a.mp4", "0"), ("b.mp4", "1"), ("c d.mp4", "1")]
    assert names_of(split.train, split, tmp_path / "videos") == expected
    assert split.train == split.val
    (tmp_path / "classes.txt").write_text("zebra\nape\n")
    named = read_split(tmp_path / name, tmp_path / name, tmp_path / "videos", tmp_path / "classes.txt")
    assert named.classes == ("zebra", "ape")
    assert [s.label for s in named.train] == [s.label for s in split.train]


def test_lists_with_names_and_times(tmp_path: Path) -> None:
    touched(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "l.csv").write_text('path,label,start,end\na.mp4,"run, fast",1.5,3\nb.mp4,jump,,\na.mp4,jump,4,\n')
    split = read_split(tmp_path / "l.csv", tmp_path / "l.csv")
    assert split.classes == ("jump", "run, fast")
    a, b = str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")
    assert split.train == (Sample(a, 1, 1.5, 3.0), Sample(b, 0), Sample(a, 0, 4.0, None))


def test_kinetics(tmp_path: Path) -> None:
    rows = [
        ["label", "youtube_id", "time_start", "time_end", "split"],
        ["arm wrestling", "abc", "5", "15", "train"], ["zumba", "-def", "0", "10", "train"],
        ["zumba", "ghi", "12", "22", "val"], ["zumba", "jkl", "1", "11", "test"],
    ]  # fmt: skip
    with (tmp_path / "k.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    touched(tmp_path, "v/abc_000005_000015.mp4", "v/zumba/-def_000000_000010.mp4", "v/zumba/ghi_000012_000022.mp4")
    split = read_split(tmp_path / "k.csv", root=tmp_path / "v")
    assert names_of(split.train, split, tmp_path / "v") == [
        ("abc_000005_000015.mp4", "arm wrestling"), ("zumba/-def_000000_000010.mp4", "zumba"),
    ]  # fmt: skip
    assert names_of(split.val, split, tmp_path / "v") == [("zumba/ghi_000012_000022.mp4", "zumba")]
    assert all((s.start, s.end) == (0.0, None) for s in split.train)  # the file holds that part alone
    assert "1 line of other splits" in split.note


def test_something_something(tmp_path: Path) -> None:
    touched(tmp_path, "v/1.webm", "v/2.mp4")
    train = [
        {"id": "1", "label": "holding a cup", "template": "Holding [something]"},
        {"id": 2, "label": "x", "template": "Moving [part] of [something]"},
    ]
    (tmp_path / "train.json").write_text(json.dumps(train))
    (tmp_path / "val.json").write_text(json.dumps(train[:1]))
    (tmp_path / "labels.json").write_text(
        json.dumps({"Moving part of something": "0", "Holding something": "1", "Never": "2"})
    )
    split = read_split(tmp_path / "train.json", tmp_path / "val.json", root=tmp_path / "v")
    assert split.classes == ("Moving part of something", "Holding something", "Never")
    assert split.train == (Sample(str(tmp_path / "v/1.webm"), 1), Sample(str(tmp_path / "v/2.mp4"), 0))
    assert split.val == split.train[:1]


FAULTS = {
    "l.csv": [
        ("a.mp4,0\nb.mp4,1,3\n", r"l\.csv:2: has 3 fields"),
        ("a.mp4,0\nb.mp4\n", r"l\.csv:2: has 1 field"),
        ("a.mp4,0\nb.mp4,-1\n", r"l\.csv:2: the class is -1; class indices start at 0"),
        ("a.mp4,0\nb.mp4,99999\n", r"l\.csv:2: the class is 99999, but the list has only 2"),
        ("a.mp4,x\nb.mp4,y,5,5\n", r"l\.csv:2: starts at 5 s and ends at 5 s"),
        ("a.mp4,x\nb.mp4,y,soon,5\n", r"l\.csv:2: 'soon' is not a number of seconds"),
        ("a.mp4,x\nb.mp4,\n", r"l\.csv:2: the class is empty"),
        ("a.mp4,x\nb.mp4,x\n", "all videos are of the class 'x'"),
        ("path,label\na.mp4,x,y\n", r"l\.csv:2: has 3 fields, but the first line has 2"),
        ("path,start\na.mp4,1\n", r"l\.csv:2: has no class; .*`label`"),
        ("label,start\nx,1\n", r"l\.csv:1: no column for the videos"),
        ("label,youtube_id\nx,1\n", "time_start and time_end"),
        ('a.mp4,x\n"b.mp4,y\n', r"l\.csv:2: .*quote"),
        ("", "the list is empty"),
        ("gone.mp4,x\ngone2.mp4,y\n", r"l\.csv:1: no such file: .*gone\.mp4.*--root"),
        (b"a.mp4,x\nb.mp4,\xff\n", r"l\.csv:2: is not UTF-8"),
        (b"a.mp4,x\n\0\0\n", r"l\.csv:2: is not text"),
    ],
    "l.json": [
        ("{}", "expected a list"),
        ("[1", r"l\.json:1: is not JSON"),
        ('[{"id": "1"}]', "entry 1: has neither `template`"),
        ('[{"label": "x"}]', "entry 1: has no `id`"),
    ],
}


@pytest.mark.parametrize(
    ("name", "text", "message"), [(n, *f) for n, faults in FAULTS.items() for f in faults], ids=lambda v: str(v)[:40]
)
def test_faults_of_lists(name: str, text: str | bytes, message: str, tmp_path: Path) -> None:
    touched(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(DataError, match=message):
        read_split(tmp_path / name)


def test_faults_of_folders_and_splits(tmp_path: Path) -> None:
    touched(tmp_path, "one/a/1.mp4", "loose/1.mp4", "none/a/1.txt", "half/train/a/1.mp4", "half/train/b/1.mp4")
    touched(tmp_path, "good/a/1.mp4", "good/b/1.mp4", "val/c/1.mp4", "v/1.mp4", "v/2.mp4")
    (tmp_path / "v" / "train.csv").write_text("1.mp4,0\n2.mp4,1\n")
    (tmp_path / "v" / "val.csv").write_text("1.mp4,0\n2.mp4,2\n")
    (tmp_path / "classes.txt").write_text("x\ny\n\n")
    (tmp_path / "single.txt").write_text("x\n")
    (tmp_path / "twice.txt").write_text("x\ny\nx\n")
    cases: list[tuple[tuple[str | None, ...], str]] = [
        (("gone",), "no such file or folder"),
        (("loose/1.mp4",), "is a video"),
        (("one",), "at least two classes"),
        (("loose",), r"its videos are not in subfolders.*\*\.mp4, \*\.webm"),
        (("none",), "has no videos in its subfolders"),
        (("half",), "has train, but none of val"),
        (("good", "val"), r"val/c: unknown class 'c'; .*good has a, b"),
        (("v",), r"val\.csv:2: the class is 2; expected 0 to 1"),
        (("v/val.csv", None, None, "classes.txt"), r"val\.csv:2: the class is 2; expected 0 to 1"),
        (("v/train.csv", None, None, "single.txt"), r"single\.txt: has one class"),
        (("v/train.csv", None, None, "twice.txt"), r"twice\.txt:3: 'x' occurs twice"),
        (("v/train.csv", None, None, "gone.txt"), r"gone\.txt: no such file"),
        (("v/train.csv", None, "gone"), "gone: no such folder"),
    ]
    for names, message in cases:
        with pytest.raises(CommandError, match=message):
            read_split(*[None if n is None else tmp_path / n for n in names])  # pyright: ignore
    with pytest.raises(UsageError, match="between 0 and 1"):
        read_split(tmp_path / "good", val_share=1.0)


# --- the check --------------------------------------------------------------------------------------------------------


def test_check_reads_all_and_stops_at_nothing(folder: Path) -> None:
    split = read_split(folder)
    alone = check_data(split, Sampling(40, 1, 25), workers=0, full=True)
    assert check_data(split, Sampling(40, 1, 25), workers=2) == alone
    assert sorted(Path(f.sample.path).name for f in alone.faulty) == ["broken.mp4", "broken.mp4"]
    assert sorted(f.problem for f in alone.short) == 2 * ["has 30 frames, a clip needs 40"] + 2 * [
        "has 35 frames, a clip needs 40"
    ]
    data = alone.as_dict()
    assert data["frames"] == {"min": 30, "median": 37.5, "max": 45}
    assert data["sizes"] == {"72x48": 8}
    assert sum(c["train"] + c["val"] for c in data["classes"]) == 10
    assert not data["in_both"]


def crash(task: tuple[str, Sample], **_: Any) -> Any:
    """Ends the process, as a decoder does that crashes, for one of the videos."""
    import os

    from archdsl.train.data.check import Finding

    part, sample = task
    if "1.mp4" in sample.path:
        os._exit(139)
    return Finding(sample, part)


def test_check_goes_on_when_a_decoder_crashes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.train.data.check._look", crash)
    report = check_data(read_split(folder), workers=2)
    assert [f.problem for f in report.faulty] == 2 * ["crashes the decoder"]
    assert all(f.sample.path.endswith("1.mp4") for f in report.faulty)


def test_check_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "tiny.arch"
    spec.write_text("arch tiny\ninput clip: video[3, 32, 32, 32]\nhead: avgpool -> linear(5)\n")
    assert main(["data", "check", str(folder), "--workers", "0", "--spec", str(spec)]) == 1
    text = capsys.readouterr().out
    assert "faulty: 2" in text
    assert re.search(r"broken\.mp4: is not a video", text)
    assert "has 30 frames, a clip needs 32" in text
    assert "6 of 10 videos can be used" in text
    good = tmp_path / "good"
    for name in ("a", "b"):
        write(good / name / "1.mp4", 20)
        write(good / name / "2.mp4", 20)
    assert main(["data", "check", str(good), "--workers", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faulty"] == []
    assert main(["data", "check", str(tmp_path / "gone")]) == 2
    assert "no such file or folder" in capsys.readouterr().err


def test_check_without_pyav(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *a: None if name == "av" else find(name, *a))
    assert main(["data", "check", str(folder)]) == 1
    assert "needs PyAV: pip install 'archdsl[train]'" in capsys.readouterr().err
