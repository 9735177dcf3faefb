"""Properties, errors and stream of a video."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from av.error import FFmpegError
from av.video.stream import VideoStream

if TYPE_CHECKING:
    from av.container import InputContainer

LARGEST = 2**26  # pixels of a frame; a larger size in a header indicates damage, or an attempt to exhaust memory
FAULTS = (FFmpegError, OSError, ValueError, LookupError, ArithmeticError)  # raised by PyAV for damaged videos


class VideoError(Exception):
    """A video cannot be used; the message is the reason, without the path."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.path = path


@dataclass(frozen=True)
class Video:
    """The properties of a video."""

    width: int  # as coded, before the rotation in the metadata
    height: int
    frames: int
    duration: float  # seconds, from the first frame to the end of the last one
    fps: float  # on average
    codec: str
    missing: int = 0  # frames that the header declares but the file does not have


def file_size(path: str) -> int:
    """Return the size of a file in bytes.

    Raises:
        VideoError: if the file does not exist, or is empty.
    """
    try:
        os.fsencode(path).decode("utf-8")
        status = os.stat(path)
    except UnicodeDecodeError:
        raise VideoError("has a name that is not UTF-8", path) from None
    except FileNotFoundError:
        raise VideoError("no such file", path) from None
    except (OSError, ValueError) as error:
        raise VideoError(f"cannot be opened: {reason_of(error)}", path) from None
    if not os.path.isfile(path):
        raise VideoError("is a folder" if os.path.isdir(path) else "is not a file", path)
    if not status.st_size:
        raise VideoError("is empty (0 bytes)", path)
    return status.st_size


def video_stream(container: InputContainer) -> VideoStream:
    """Return the video stream, configured for decoding.

    Raises:
        VideoError: if the file has no video stream, or it cannot be decoded.
    """
    from av.stream import Disposition

    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise VideoError("has no video stream")
    context = cast("Any", stream.codec_context)
    if context is None:
        raise VideoError("cannot be decoded: no decoder for its codec")
    if not 0 < context.width * context.height <= LARGEST:
        raise VideoError(f"cannot be decoded: its header declares frames of {context.width}×{context.height} pixels")
    context.options = {"max_pixels": str(LARGEST)}
    stream.thread_count = 1  # data loading workers run in parallel
    stream.thread_type = "SLICE"
    return stream


def reason_of(error: Exception) -> str:
    """Return the message of an error in one line, without the path."""
    text = error.strerror if isinstance(error, (FFmpegError, OSError)) else str(error)
    return " ".join((text or type(error).__name__).split())
