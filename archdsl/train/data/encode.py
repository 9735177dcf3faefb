"""Encoding of a video for fast decoding of clips: small frames, many key frames, no sound."""

# Libraries without types.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import av
import torch
from av.video.frame import VideoFrame

from archdsl.train.data.decoder import upright
from archdsl.train.data.video import FAULTS, VideoError, reason_of
from archdsl.train.data.videos import Reader, probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import OutputContainer

FORMAT = "yuv420p"
SPEED = {"preset": "veryfast", "tune": "fastdecode", "threads": "1"}  # options of x264; workers run in parallel
PART = ".part"  # suffix of a target that is not complete
SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT}  # faults of the output


@dataclass(frozen=True)
class Encoding:
    """Settings of the encoding."""

    short_side: int = 256  # pixels; smaller videos keep their size
    key_frames: int = 16  # frames from one key frame to the next, at most
    crf: int = 20  # constant rate factor of x264, from 0 (lossless) to 51


def encode(source: Path, target: Path, encoding: Encoding) -> int:
    """Write a video as H.264 in MP4, upright, with the times of its frames; return its number of frames.

    The target is complete or does not exist.

    Raises:
        VideoError: if the video cannot be decoded to its end, or not encoded.
        OSError: if the target cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}{PART}")
    try:
        with Reader(source) as reader:
            video = reader.video
            if video.missing:
                declared = video.frames + video.missing
                raise VideoError(f"is truncated: has {video.frames} of {declared} frames", reader.path)
            count = _encode(reader, part, encoding)
        if probe(part).frames != count:
            raise VideoError(f"cannot be encoded: {probe(part).frames} of {count} frames were written", reader.path)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return count


def _encode(reader: Reader, part: Path, encoding: Encoding) -> int:
    """Encode the frames of a video; return their number."""
    pictures = _pictures(reader, encoding.short_side)
    first = next(pictures)
    count = 0
    try:
        with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as output:
            stream = _stream(output, first, reader, encoding)
            for picture in chain([first], pictures):
                output.mux(stream.encode(picture))
                count += 1
            output.mux(stream.encode(None))
    except FAULTS as error:
        if isinstance(error, OSError) and error.errno in SYSTEM:
            raise
        raise VideoError(f"cannot be encoded: {reason_of(error)}", reader.path) from error
    return count


def _stream(output: OutputContainer, picture: VideoFrame, reader: Reader, encoding: Encoding) -> Any:
    """Return the stream of the target."""
    options = {
        "crf": str(encoding.crf),
        "g": str(encoding.key_frames),
        "preset": "veryfast",
        "tune": "fastdecode",
        "threads": "1",
    }
    stream: Any = output.add_stream("libx264", rate=reader.rate, options=options)
    stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, FORMAT
    context = stream.codec_context
    context.time_base = reader.time_base
    for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
        setattr(context, name, getattr(picture, name))
    return stream


def _pictures(reader: Reader, short_side: int) -> Iterator[VideoFrame]:
    """Yield the frames of a video as they are to be encoded."""
    size: tuple[int, int] | None = None
    for ticks, frame in reader.frames():
        shown = frame
        if reader.is_turned(frame):
            pixels: Any = frame.to_ndarray(format="rgb24", threads=1)
            shown = VideoFrame.from_ndarray(upright(torch.from_numpy(pixels), frame).numpy(), format="rgb24")
        size = size or _size(shown.width, shown.height, short_side)
        picture = shown.reformat(*size, format=FORMAT, interpolation="AREA", dst_color_range="MPEG", threads=1)
        picture.pts, picture.time_base = ticks, reader.time_base
        yield picture


def _size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return a size in even numbers, as 4:2:0 needs it, whose shorter side is at most `short_side`."""
    scale = min(1.0, short_side / min(width, height))
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))
