"""Small videos whose frames show their numbers, in every container and codec."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import torch

REAL = ROOT.parent / "shared" / "video"
RATE = 25
BITS = 9


def numbered(number: int, height: int, width: int) -> np.ndarray:
    """A frame that shows a number: a column for each binary digit, in the upper half alone."""
    frame = np.full((height, width, 3), 60, np.uint8)
    for bit in range(BITS):
        frame[: height // 2, bit * width // BITS : (bit + 1) * width // BITS] = 220 if number >> bit & 1 else 20
    return frame


def number_of(frame: torch.Tensor) -> int:
    """The number that a frame shows."""
    height, width = frame.shape[:2]
    columns = [frame[height // 4, (2 * bit + 1) * width // (2 * BITS)].float().mean() for bit in range(BITS)]
    return sum(1 << bit for bit, column in enumerate(columns) if column > 120)


def write(
    path: Path, count: int = 60, *, codec: str = "libx264", size: tuple[int, int] = (48, 72), pixels: str = "yuv420p",
    stamps: list[int] | None = None, rotate: int = 0, container: dict[str, str] | None = None, **options: str,
) -> Path:  # fmt: skip
    """Writes a video of numbered frames, with a key frame every 12 and B-frames; `stamps` are milliseconds."""
    chosen = {"g": "12", "bf": "2", "threads": "1"} | options
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container or {}) as output:
        stream: Any = output.add_stream(codec, rate=Fraction(RATE), options=chosen)
        stream.height, stream.width, stream.pix_fmt = *size, pixels
        if stamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotate:
            stream.set_display_rotation(rotate)
        output.start_encoding()  # there is a header even if no frame follows
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered(number, *size), format="rgb24")
            if stamps is not None:
                frame.pts, frame.time_base = stamps[number], Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


KINDS = {
    "h264.mp4": {},
    "h264_open.mp4": {"x264-params": "open-gop=1:scenecut=0"},
    "h264_no_b.mp4": {"bf": "0"},
    "h264_one_key.mp4": {"g": "1000", "x264-params": "scenecut=0"},
    "h264.mkv": {},
    "h264.avi": {},
    "h264.flv": {},
    "h264.ts": {},
    "h264.h264": {},
    "h265.mp4": {"codec": "libx265", "x265-params": "keyint=12:log-level=none"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg4.mp4": {"codec": "mpeg4"},
    "mpeg2.mpg": {"codec": "mpeg2video"},
    "mpeg2.ts": {"codec": "mpeg2video"},
    "vp9.webm": {"codec": "libvpx-vp9", "lag-in-frames": "16", "auto-alt-ref": "1"},
    "vp8.webm": {"codec": "libvpx", "lag-in-frames": "16", "auto-alt-ref": "1"},
}
