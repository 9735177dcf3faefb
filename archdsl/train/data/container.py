"""An open video file: its stream, its properties and its packets."""

from __future__ import annotations

import math
import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

import av
from av import logging
from av.error import EOFError as EndOfFile
from av.error import InvalidDataError

from archdsl.train.data.stored import opened
from archdsl.train.data.video import FAULTS, Video, VideoError, file_size, reason_of, video_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from archdsl.train.data.stored import Stored

ZEROS = 64  # bytes in a row; start codes and their emulation prevention allow three
CODECS_WITHOUT_ZEROS = ("h264", "hevc", "mpeg4")


class Container:
    """An open video.

    Args:
        path: the file, or the name of a stored video.
        stored: the place of the video's bytes, if it is not a file.

    Raises:
        VideoError: if the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], stored: Stored | None = None) -> None:
        self.path, self.stored = os.fspath(path), stored
        self._file = opened(stored, self.path) if stored is not None else None
        self._size = self._file.seek(0, os.SEEK_END) if self._file is not None else file_size(self.path)
        self._measured: Video | None = None
        self._closed = False
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._container.close()
        if self._file is not None:
            self._file.close()

    @property
    def video(self) -> Video:
        """The properties of the video, computed on first use.

        Raises:
            VideoError: if the video has no frames.
            ValueError: if it is first used after the file was closed.
        """
        if self._measured is None:
            if self._closed:  # PyAV would end the process
                message = f"{self.path} is closed; ask for the properties of a video before"
                raise ValueError(message)
            try:
                self._measured = self._measure()
            except VideoError as error:
                raise VideoError(str(error), self.path) from None
        return self._measured

    @property
    def time_base(self) -> Fraction:
        """The unit of the frames' times, in seconds."""
        return self._stream.time_base or Fraction(1)

    @property
    def rate(self) -> Fraction:
        """Frames per second on average, or as guessed."""
        return self._stream.average_rate or self._stream.guessed_rate or Fraction(25)

    def _open(self) -> None:
        """Open the file, or reopen it at its start."""
        logging.set_level(None)
        logging.set_libav_level(logging.PANIC)
        if self._file is not None:
            self._file.seek(0)
        try:
            # a path in a list of videos must not access the network
            source: str | BinaryIO = self._file or os.path.abspath(self.path)
            self._container: InputContainer = av.open(
                source, mode="r", options={"protocol_whitelist": "file"}, metadata_errors="replace"
            )
        except InvalidDataError:
            raise VideoError("is not a video, or is damaged at the start", self.path) from None
        except EndOfFile:
            raise VideoError("ends before its first frame", self.path) from None
        except FAULTS as error:
            raise VideoError(f"cannot be opened: {reason_of(error)}", self.path) from None
        try:
            self._stream = video_stream(self._container)
        except VideoError as error:
            self._container.close()
            raise VideoError(str(error), self.path) from None
        context = self._stream.codec_context
        self._shape = context.width, context.height
        self._tick = float(self.time_base)
        self._step = max(1, round(1 / (float(self.rate) * self._tick)))
        # AVI has no presentation timestamps: the guesses for B-frames are wrong, but frames are decoded in order
        self._by_dts = self._container.format.name == "avi"
        self._seekable = self._container.format.name != "mpeg"  # program streams do not time every frame
        self._fresh, self._sought = True, False

    def _measure(self) -> Video:
        stream = self._stream
        context = stream.codec_context
        entries = cast("Any", stream).index_entries
        count = len(entries)
        last = entries[count - 1] if count else None
        whole = last is not None and last.pos + last.size <= self._size and not self._is_cut()
        duration = float((stream.duration or 0) * (stream.time_base or 0))
        if whole and count == stream.frames and duration > 0:
            frames, missing = count, 0
        else:
            frames, duration = self._counted()
            missing = 0 if whole else max(0, stream.frames - frames)
        if not frames:
            raise VideoError("has 0 frames")
        return Video(*self._shape, frames, duration, frames / duration, context.name, missing)

    def _is_cut(self) -> bool:
        """Return True for an AVI file that is shorter than its header says; its index was at its end."""
        if self._container.format.name != "avi":
            return False
        with opened(self.stored, self.path) if self.stored is not None else open(self.path, "rb") as file:
            head = file.read(8)
        return head[:4] == b"RIFF" and self._size < 8 + int.from_bytes(head[4:], "little") < 2**32

    def zeroed(self) -> float | None:
        """Return the seconds at which the stored frames hold a run of zeros, which their codec never writes.

        Blocks of zeros are left by downloads and copies that were interrupted; decoders show them as grey.
        """
        if self._stream.codec_context.name not in CODECS_WITHOUT_ZEROS:
            return None
        self._container.close()
        self._open()
        for packet in self._packets():
            data = bytes(packet).rstrip(b"\0")  # zeros at the end can be stuffing
            if not data or bytes(ZEROS) in data:
                return float(((packet.pts or packet.dts or 0) - (self._stream.start_time or 0)) * self._tick)
        return None

    def _counted(self) -> tuple[int, float]:
        """Return the number of frames and the duration in seconds, by counting packets."""
        frames, begin, end = 0, math.inf, -math.inf
        if not self._fresh:
            self._open()
        self._fresh = False
        for packet in self._packets():
            frames += 1
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None:
                begin, end = min(begin, stamp), max(end, stamp + (packet.duration or self._step))
        ticks = end - begin if end > begin else frames * self._step
        return frames, ticks * self._tick

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield the packets of the stream, from the current position to the end, or to the first unreadable packet."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, *FAULTS):
                return
            if packet.size and not packet.is_discard:
                yield packet
