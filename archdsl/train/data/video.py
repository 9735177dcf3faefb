"""Videos: what is known of one, why one cannot be used, and its stream."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from av.error import FFmpegError
from av.video.stream import VideoStream

if TYPE_CHECKING:
    from av.container import InputContainer

LARGEST = 2**26  # pixels of a frame; a header that says more is damaged, or meant to fill the memory
FAULTS = (FFmpegError, OSError, ValueError, LookupError, ArithmeticError)  # what PyAV raises of damaged videos


class VideoError(Exception):
    """A video that cannot be used; the message is the reason, without the path."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.path = path


@dataclass(frozen=True)
class Video:
    """What there is of a video."""

    width: int  # as coded: before the turn that a phone may ask for
    height: int
    frames: int
    duration: float  # seconds, from the first frame to the end of the last one
    fps: float  # on average
    codec: str
    missing: int = 0  # frames that the header promises, and the file does not hold


def file_size(path: str) -> int:
    """The bytes of a file.

    Raises:
        VideoError: if it is none, or empty.
    """
    try:
        os.fsencode(path).decode("utf-8")
        found = os.stat(path)
    except UnicodeDecodeError:
        raise VideoError("has a name that is not UTF-8", path) from None
    except FileNotFoundError:
        raise VideoError("no such file", path) from None
    except (OSError, ValueError) as error:
        raise VideoError(f"cannot be opened: {reason_of(error)}", path) from None
    if not os.path.isfile(path):
        raise VideoError("is a folder" if os.path.isdir(path) else "is not a file", path)
    if not found.st_size:
        raise VideoError("is empty (0 bytes)", path)
    return found.st_size


def video_stream(container: InputContainer) -> VideoStream:
    """The stream to decode, ready to be.

    Raises:
        VideoError: if there is none.
    """
    from av.stream import Disposition

    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise VideoError("no video stream")
    context = cast("Any", stream.codec_context)
    if context is None:
        raise VideoError("no decoder for its codec")
    if not 0 < context.width * context.height <= LARGEST:
        raise VideoError(f"cannot be decoded: its frames would have {context.width}×{context.height} pixels")
    context.options = {"max_pixels": str(LARGEST)}
    stream.thread_count = 1  # workers run side by side
    stream.thread_type = "SLICE"
    return stream


def reason_of(error: Exception) -> str:
    """What an error says, in one line and without the path."""
    text = error.strerror if isinstance(error, (FFmpegError, OSError)) else str(error)
    return " ".join((text or type(error).__name__).split())
