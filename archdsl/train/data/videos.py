"""Decoding: how long a video is, and the frames that it shows at given moments.

Times are seconds from the first frame. PyAV decodes; torchcodec can, where it is installed.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, cast

import av
import torch
from av import logging
from av.error import EOFError as EndOfFile
from av.error import FFmpegError, InvalidDataError
from av.video.stream import VideoStream

from archdsl.train.engine import DECODERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame

    View = Callable[[torch.Tensor], torch.Tensor]

LARGEST = 2**26  # pixels of a frame; a header that says more is damaged, or meant to fill the memory
PATIENCE = 2.0  # seconds that are decoded rather than sought where no index tells the key frames
AHEAD = 32  # packets to look at before one is decoded: frames are shown at most 16 later than their place
INVISIBLE = 2  # packets in a row that may hold no frame to show, as VP8 has them
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


def probe(path: str | os.PathLike[str]) -> Video:
    """How many frames a video has and how long it is: by its header, else by counting packets. Decodes nothing.

    Raises:
        VideoError: if it is no video with a frame in it.
    """
    with Reader(path) as reader:
        return reader.video


def read_frames(
    path: str | os.PathLike[str],
    times: Sequence[float],
    decoder: str = "pyav",
    device: str = "cpu",
    view: View | None = None,
) -> torch.Tensor:
    """The frames that a video shows at some times, in any order, some perhaps the same.

    Only what lies between a key frame and a wanted frame is decoded. Times past the end give the last frame.

    Args:
        path: the video.
        times: seconds from its first frame.
        decoder: `pyav`, `torchcodec`, or `auto`: torchcodec where it is installed and there is a GPU, else pyav.
        device: where torchcodec decodes, such as `cuda`.
        view: what to keep of each frame, uint8 (H, W, 3), so that large ones need not stay in memory; by default all.

    Returns:
        uint8 (T, H, W, 3), on the CPU, or what `view` gives, stacked.

    Raises:
        VideoError: if a wanted frame cannot be decoded.
        ValueError: if there is no such decoder, or it is not installed, or no time is given.
    """
    if not times:
        raise ValueError("no times are given")
    if chosen_decoder(decoder) == "torchcodec":
        return _read_by_torchcodec(os.fspath(path), times, device, view)
    with Reader(path) as reader:
        return reader.read(times, view)


class Reader:
    """An open video: its `video`, and `read` for some of its frames.

    Raises:
        VideoError: if it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.decoded = 0  # frames that have been decoded
        self._size = _file_size(self.path)
        self._patience = PATIENCE
        self._measured: Video | None = None
        self._origin: int | None = None  # the stamp of the first frame
        self._delay: int | None = None  # ticks from the first packet's decoding to its frame's showing
        self._wanted: Sequence[int] = ()
        self._index: tuple[list[int], int, int] = ([], 0, 0)
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def video(self) -> Video:
        """What there is of it."""
        if self._measured is None:
            try:
                self._measured = self._measure()
            except VideoError as error:
                raise VideoError(str(error), self.path) from None
        return self._measured

    def read(self, times: Sequence[float], view: View | None = None) -> torch.Tensor:
        """The frames shown at some times, as `read_frames` has them."""
        try:
            origin = self._first_stamp()
            # a time may be a frame's own that was rounded to a tick, which can be as long as a frame
            slack = min(0.5, self._step / 32) + 1e-6
            stamps = [origin + math.floor(max(t, 0.0) / self._tick + slack) for t in times]
            wanted = sorted(set(stamps))
            kept: dict[int, torch.Tensor] = {}
            last: tuple[VideoFrame, torch.Tensor] | None = None
            for stamp, frame in zip(wanted, self._shown_at(wanted), strict=True):
                if last is None or last[0] is not frame:
                    picture = self._picture(frame)
                    last = (frame, view(picture) if view is not None else picture)
                kept[stamp] = last[1]
        except VideoError as error:
            raise VideoError(str(error), self.path) from None
        except FAULTS as error:
            raise VideoError(f"cannot be decoded: {_reason(error)}", self.path) from error
        return torch.stack([kept[stamp] for stamp in stamps])

    # --- opening and measuring ---------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Opens the file, or opens it anew to stand at its beginning."""
        logging.set_level(None)
        logging.set_libav_level(logging.PANIC)
        try:
            # a list of videos is no place to reach the network from
            self._container: InputContainer = av.open(
                os.path.abspath(self.path), options={"protocol_whitelist": "file"}, metadata_errors="replace"
            )
        except InvalidDataError:
            raise VideoError("is not a video, or is damaged at its beginning", self.path) from None
        except EndOfFile:
            raise VideoError("ends before its first frame", self.path) from None
        except FAULTS as error:
            raise VideoError(f"cannot be opened: {_reason(error)}", self.path) from None
        try:
            self._stream = _video_stream(self._container)
        except VideoError as error:
            self._container.close()
            raise VideoError(str(error), self.path) from None
        context = self._stream.codec_context
        self._shape = context.width, context.height
        self._tick = float(self._stream.time_base or 1)
        rate = self._stream.average_rate or self._stream.guessed_rate or 25
        self._step = max(1, round(1 / (float(rate) * self._tick)))
        # AVI has no times of showing: those that are guessed for B-frames are wrong, while frames come out in order
        self._by_dts = self._container.format.name == "avi"
        self._seekable = self._container.format.name != "mpeg"  # program streams do not time every frame
        self._fresh, self._sought = True, False
        self._forget()

    def _forget(self) -> None:
        """Nothing has been read from here on."""
        self._due: list[int] = []  # stamps of packets whose frames have not come out
        self._lost: list[tuple[int, str]] = []  # stamps of those that were refused, and why
        self._at: int | None = None  # stamp of the last frame that came out
        self._read: int | None = None  # of the last packet, in the order of decoding
        self._end: int | None = None  # where the last packet's frame ends

    def _measure(self) -> Video:
        stream = self._stream
        context = stream.codec_context
        entries = cast("Any", stream).index_entries
        count = len(entries)
        last = entries[count - 1] if count else None
        whole = last is not None and last.pos + last.size <= self._size
        duration = float((stream.duration or 0) * (stream.time_base or 0))
        if whole and count == stream.frames and duration > 0:
            frames, missing = count, 0
        else:
            frames, duration = self._counted()
            missing = 0 if whole else max(0, stream.frames - frames)
        if not frames:
            raise VideoError("has 0 frames")
        return Video(*self._shape, frames, duration, frames / duration, context.name, missing)

    def _counted(self) -> tuple[int, float]:
        """Frames and seconds, by the packets."""
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
        """The packets of the stream, from where the container stands to its end or to where it cannot be read."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, *FAULTS):
                return
            if packet.size and not packet.is_discard:
                yield packet

    # --- the frames at some moments ----------------------------------------------------------------------------------

    def _first_stamp(self) -> int:
        if self._origin is None and not self._by_dts:
            self._origin = self._stream.start_time
        if self._origin is None:
            self._rewind()
            first = next(self._decode(after_key=False), None)
            if first is None:
                raise VideoError("cannot be decoded: there is no frame in it")
            self._origin = first[0]
        if self._delay is None:
            keys, _ = self._keys()
            self._delay = max(0, self._origin - keys[0]) if keys else 0
        return self._origin

    def _shown_at(self, wanted: Sequence[int]) -> Iterator[VideoFrame]:
        """For each stamp, in order, the last frame that does not come after it."""
        shown = ahead = None
        self._wanted = wanted
        frames: Iterator[tuple[int, VideoFrame]] = iter(())
        for number, stamp in enumerate(wanted):
            if number == 0 or self._seeking_pays(stamp):
                frames, ahead = self._jump(stamp)
                shown = None
            while ahead is not None and (ahead[0] <= stamp or shown is None):
                shown, ahead = ahead, next(frames, None)
            self._check(shown, stamp)
            assert shown is not None
            yield shown[1]

    def _check(self, shown: tuple[int, VideoFrame] | None, stamp: int) -> None:
        """Whether it is the frame that was asked for, and not only the last that could be decoded.

        Raises:
            VideoError: if it is not.
        """
        reasons = [reason for at, reason in self._lost if shown is None or shown[0] < at <= stamp]
        if shown is None:
            raise VideoError(f"cannot be decoded: {reasons[0] if reasons else 'there is no frame in it'}")
        seconds = (stamp - self._first_stamp()) * self._tick
        if reasons:
            raise VideoError(f"cannot be decoded at {seconds:.2f} s: {reasons[0]}")
        if sum(shown[0] < at <= stamp for at in self._due) > INVISIBLE:
            raise VideoError(f"cannot be decoded at {seconds:.2f} s: there is no frame in what is stored")
        promised = self._stream.duration
        end = max(self._end or 0, shown[0]) + INVISIBLE * self._step
        if promised is not None and end < stamp < self._first_stamp() + promised:
            held = (end - self._first_stamp()) * self._tick
            raise VideoError(f"ends after {held:.2f} s of {promised * self._tick:.2f} s")

    def _seeking_pays(self, stamp: int) -> bool:
        """Whether a key frame lies between what has been read and what is wanted."""
        if not self._seekable:
            return False
        at = self._at if self._at is not None else self._first_stamp()
        keys, last = self._keys()
        key = self._key_before(stamp, keys)
        if key is not None and key > (self._read if self._read is not None else keys[0]):
            return True
        # the index of Matroska has key frames alone, once one has sought; that of others perhaps what has been read
        matroska = "matroska" in self._container.format.name
        complete = bool(keys) and (self._sought if matroska else last >= stamp - self._step - keys[0])
        return not complete and (stamp - at) * self._tick > (0 if self._fresh else self._patience)

    def _keys(self) -> tuple[list[int], int]:
        """The stamps of the key frames in the index, in the order of decoding, and that of its last entry."""
        entries = cast("Any", self._stream).index_entries
        keys, last, count = self._index
        if len(entries) != count:  # it can grow while one reads
            listed = list(entries)
            keys, last = sorted(e.timestamp for e in listed if e.is_keyframe), listed[-1].timestamp
            self._index = keys, last, len(listed)
        return keys, last

    def _key_before(self, stamp: int, keys: Sequence[int]) -> int | None:
        self._first_stamp()
        found = bisect_right(keys, stamp - (self._delay or 0))
        return keys[found - 1] if found else None

    def _jump(self, stamp: int) -> tuple[Iterator[tuple[int, VideoFrame]], tuple[int, VideoFrame] | None]:
        """Goes to a key frame that is shown no later than a stamp; the frames from there, the first one apart."""
        before = self._at
        back = 0
        while True:
            frames, begins = self._frames_from(stamp, back)
            first = next(frames, None)
            if begins or (first is not None and first[0] <= stamp):
                break
            back = max(2 * back, self._step, round(1 / self._tick))
        if before is not None and first is not None and first[0] <= before:
            self._patience *= 2  # the key frames are farther apart than this
        return frames, first

    def _frames_from(self, stamp: int, back: int) -> tuple[Iterator[tuple[int, VideoFrame]], bool]:
        """Frames from a key frame that should come before a stamp, less a way back, and if that is the beginning."""
        target = stamp - back
        first = self._first_stamp()
        key = self._key_before(target, self._keys()[0]) if self._by_dts else None
        if self._fresh and not self._seeking_pays(target):
            target = first
        if target > first and self._seekable:
            try:
                self._container.seek(key if key is not None else target, stream=self._stream)
            except FAULTS:
                pass
            else:
                self._fresh, self._sought = False, True
                self._forget()
                return self._decode(after_key=True), False
        self._rewind()
        return self._decode(after_key=False), True

    def _rewind(self) -> None:
        if not self._fresh:
            self._container.close()
            self._open()

    def _decode(self, *, after_key: bool) -> Iterator[tuple[int, VideoFrame]]:
        """Frames in the order of showing, with their stamps, from where the container stands.

        Args:
            after_key: leave out packets before the first key frame, and what is shown before it but coded after it: for
                these frames something is missing.
        """
        self._fresh = False
        since: int | None = None
        waiting = after_key
        stamps: deque[int] = deque(maxlen=2 * AHEAD)  # of the packets around
        queue: deque[Packet[VideoStream]] = deque()
        packets = self._packets()
        while True:
            for packet in islice(packets, AHEAD - len(queue)):
                queue.append(packet)
                if packet.pts is not None:
                    stamps.append(packet.pts)
            if not queue:
                break
            packet = queue.popleft()
            if waiting and not packet.is_keyframe:
                continue
            stamp = packet.pts if packet.pts is not None else packet.dts
            if waiting and not self._by_dts:
                since = stamp
            waiting = False
            needed = self._is_needed(packet, stamps)
            self._note(packet, stamp, needed=needed)
            self._stream.codec_context.skip_frame = "DEFAULT" if needed else "NONREF"
            yield from self._stamped(self._given(packet, stamp), since)
        yield from self._stamped(self._given(None, self._end), since)

    def _is_needed(self, packet: Packet[VideoStream], stamps: Iterable[int]) -> bool:
        """Whether the frame of a packet may be wanted; others need no decoding unless more frames depend on them."""
        stamp = packet.pts
        if stamp is None or self._by_dts or not self._wanted:
            return True
        following = min((s for s in stamps if s > stamp), default=None)
        number = bisect_left(self._wanted, stamp)
        return following is None or (number < len(self._wanted) and following > self._wanted[number])

    def _note(self, packet: Packet[VideoStream], stamp: int | None, *, needed: bool) -> None:
        self._read = packet.dts if packet.dts is not None else stamp
        if stamp is not None:
            end = stamp + (packet.duration or self._step)
            self._end = end if self._end is None else max(self._end, end)
            if needed and not self._by_dts:
                self._due.append(stamp)

    def _given(self, packet: Packet[VideoStream] | None, stamp: int | None) -> list[VideoFrame]:
        """What comes out of the decoder for a packet, or at the end."""
        try:
            return cast("Any", self._stream).decode(packet)
        except EndOfFile:
            return []
        except FAULTS as error:
            at = self._at if stamp is None else stamp
            self._lost.append((at or 0, _reason(error)))
            return []

    def _stamped(self, frames: Sequence[VideoFrame], since: int | None) -> Iterator[tuple[int, VideoFrame]]:
        for number, frame in enumerate(frames):
            self.decoded += 1
            stamp = frame.pts if not self._by_dts and frame.pts is not None else frame.dts
            if stamp is None and self._by_dts and self._read is not None:  # no packet has brought the last ones out
                stamp = self._read + (self._delay or 0) - (len(frames) - 1 - number)
            elif stamp is None:
                stamp = self._at + self._step if self._at is not None else 0
            self._at = stamp
            self._due = [at for at in self._due if at > stamp]
            if since is None or stamp >= since:
                yield stamp, frame

    def _picture(self, frame: VideoFrame) -> torch.Tensor:
        """A frame as uint8 (H, W, 3), of the size that the header says, upright."""
        width, height = self._shape  # a stream can change its size
        pixels: Any = frame.to_ndarray(format="rgb24", width=width, height=height, threads=1)
        picture: torch.Tensor = cast("Any", torch).from_numpy(pixels)
        turns = round(frame.rotation / 90) % 4
        return torch.rot90(picture, turns).contiguous() if turns else picture


def _file_size(path: str) -> int:
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
        raise VideoError(f"cannot be opened: {_reason(error)}", path) from None
    if not os.path.isfile(path):
        raise VideoError("is a folder" if os.path.isdir(path) else "is not a file", path)
    if not found.st_size:
        raise VideoError("is empty (0 bytes)", path)
    return found.st_size


def _video_stream(container: InputContainer) -> VideoStream:
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


def _reason(error: Exception) -> str:
    """What an error says, in one line and without the path."""
    text = error.strerror if isinstance(error, (FFmpegError, OSError)) else str(error)
    return " ".join((text or type(error).__name__).split())


# --- torchcodec ------------------------------------------------------------------------------------------------------


def chosen_decoder(name: str) -> str:
    """`pyav` or `torchcodec`, for a name that may be `auto`.

    Raises:
        ValueError: if there is no such decoder, or it is not installed.
    """
    if name not in DECODERS:
        raise ValueError(f"there is no decoder {name!r}; those that there are: {', '.join(DECODERS)}")
    if name == "auto":
        return "torchcodec" if torch.cuda.is_available() and not _why_no_torchcodec() else "pyav"
    if name == "torchcodec" and (why := _why_no_torchcodec()):
        raise ValueError(f"torchcodec cannot be used ({why}): pip install torchcodec, and FFmpeg as your system has it")
    return name


def _why_no_torchcodec() -> str:
    """Why torchcodec cannot be imported; empty if it can."""
    try:
        import_module("torchcodec.decoders")
    except ModuleNotFoundError:
        return "it is not installed"
    except Exception as error:  # its libraries fail to load in several ways
        return str(error).partition("\n")[0]
    return ""


def _read_by_torchcodec(path: str, times: Sequence[float], device: str, view: View | None) -> torch.Tensor:
    _file_size(path)
    try:
        codec: Any = import_module("torchcodec.decoders")
        decoder = codec.VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=1, device=device)
        facts = decoder.metadata
        begin, end = facts.begin_stream_seconds, facts.end_stream_seconds
        small = 0.5 / (facts.average_fps or 25) / 100
        moments = [min(begin + max(t, 0.0) + small, end - small) for t in times]
        frames: torch.Tensor = decoder.get_frames_played_at(moments).data.cpu()
    except MemoryError:
        raise
    except Exception as error:
        raise VideoError(f"cannot be decoded: {_reason(error)}", path) from error
    return torch.stack([view(frame) for frame in frames]) if view is not None else frames
