"""Video decoding: properties of a video, and its frames at given times.

Times are seconds from the first frame. The decoder is PyAV or, if installed, torchcodec.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, cast

import torch

from archdsl.train.data.decoder import Decoder
from archdsl.train.data.reading import count
from archdsl.train.data.torchcodec import chosen_decoder, read_by_torchcodec
from archdsl.train.data.video import FAULTS, Video, VideoError, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from av.video.frame import VideoFrame

    from archdsl.train.data.stored import Stored

    View = Callable[[torch.Tensor], torch.Tensor]

__all__ = ["Reader", "Video", "VideoError", "chosen_decoder", "probe", "read_frames"]

PATIENCE = 2.0  # seconds up to which decoding is preferred to seeking, without an index of key frames
INVISIBLE = 2  # consecutive packets that may have no visible frame, as in VP8


def probe(path: str | os.PathLike[str]) -> Video:
    """Return the properties of a video, from its header or by counting packets, without decoding.

    Raises:
        VideoError: if it is not a video, or has no frames.
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
    """Return the frames of a video at given times, which may be unsorted and repeated.

    Only frames between a key frame and a wanted frame are decoded. For times past the end, the last frame is returned.

    Args:
        path: the video.
        times: seconds from its first frame.
        decoder: `pyav`, `torchcodec`, or `auto`: torchcodec if it is installed and a GPU is available, else pyav.
        device: device on which torchcodec decodes, such as `cuda`.
        view: function applied to each frame, uint8 (H, W, 3), to save memory; by default the identity.

    Returns:
        uint8 (T, H, W, 3), on the CPU, or the results of `view`, stacked.

    Raises:
        VideoError: if a wanted frame cannot be decoded.
        ValueError: if the decoder is unknown or not installed, or `times` is empty.
    """
    if not times:
        raise ValueError("`times` is empty")
    if chosen_decoder(decoder) == "torchcodec":
        return read_by_torchcodec(os.fspath(path), times, device, view)
    with Reader(path) as reader:
        return reader.read(times, view)


class Reader(Decoder):
    """An open video: properties (`video`), and frames at given times (`read`).

    Raises:
        VideoError: if the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], stored: Stored | None = None) -> None:
        self._patience = PATIENCE
        self._origin: int | None = None  # timestamp of the first frame
        self._index: tuple[list[int], int, int] = ([], 0, 0)
        super().__init__(path, stored)

    def read(self, times: Sequence[float], view: View | None = None) -> torch.Tensor:
        """Return the frames at given times, as `read_frames`."""
        try:
            origin = self._first_stamp()
            # a time may be the timestamp of a frame, rounded to a tick, which can be as long as a frame
            slack = min(0.5, self._step / 32) + 1e-6
            stamps = [origin + math.floor(max(t, 0.0) / self._tick + slack) for t in times]
            wanted = sorted(set(stamps))
            pictures: dict[int, torch.Tensor] = {}
            last: tuple[VideoFrame, torch.Tensor] | None = None
            for stamp, frame in zip(wanted, self._shown_at(wanted), strict=True):
                if last is None or last[0] is not frame:
                    picture = self._picture(frame)
                    last = (frame, view(picture) if view is not None else picture)
                pictures[stamp] = last[1]
        except VideoError as error:
            raise VideoError(str(error), self.path) from None
        except FAULTS as error:
            raise VideoError(f"cannot be decoded: {reason_of(error)}", self.path) from error
        return torch.stack([pictures[stamp] for stamp in stamps])

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """Yield all frames in presentation order, with their times in units of `time_base` from the first.

        Raises:
            VideoError: at the end, if frames could not be decoded or only in part.
        """
        origin = self._first_stamp()
        self._rewind()
        self._wanted = ()
        last = -1
        for stamp, frame in self._decode(after_key=False):
            if stamp - origin > last:  # other frames are never shown
                last = stamp - origin
                yield last, frame
        if self._lost:
            at, reason = self._lost[0]
            raise VideoError(f"cannot be decoded at {(at - origin) * self._tick:.2f} s: {reason}", self.path)
        if damage := self.damage():
            raise VideoError(damage, self.path)

    def damage(self) -> str:
        """Return the damage of the frames that have been read and of all stored data, in words; empty without."""
        if self.damaged:
            first = (self.damaged[0] - self._first_stamp()) * self._tick
            return f"is damaged: {count(len(self.damaged), 'frame')} decoded in part, the first at {first:.2f} s"
        zeros = self.zeroed()
        return f"is damaged: its data are zeros at {zeros:.2f} s" if zeros is not None else ""

    def _first_stamp(self) -> int:
        if self._origin is None and not self._by_dts:
            self._origin = self._stream.start_time
        if self._origin is None:
            self._rewind()
            first = next(self._decode(after_key=False), None)
            if first is None:
                raise VideoError("cannot be decoded: it has no frames")
            self._origin = first[0]
        if self._delay is None:
            keys, _ = self._keys()
            self._delay = max(0, self._origin - keys[0]) if keys else 0
        return self._origin

    def _shown_at(self, wanted: Sequence[int]) -> Iterator[VideoFrame]:
        """Yield for each timestamp, in ascending order, the last frame that is not after it."""
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
        """Check that no frame between the decoded frame and a timestamp is missing.

        Raises:
            VideoError: if a frame is missing.
        """
        reasons = [reason for at, reason in self._lost if shown is None or shown[0] < at <= stamp]
        if shown is None:
            raise VideoError(f"cannot be decoded: {reasons[0] if reasons else 'it has no frames'}")
        seconds = (stamp - self._first_stamp()) * self._tick
        if reasons:
            raise VideoError(f"cannot be decoded at {seconds:.2f} s: {reasons[0]}")
        if sum(shown[0] < at <= stamp for at in self._due) > INVISIBLE:
            raise VideoError(f"cannot be decoded at {seconds:.2f} s: the stored packets yield no frame")
        declared = self._stream.duration
        end = max(self._end or 0, shown[0]) + INVISIBLE * self._step
        if declared is not None and end < stamp < self._first_stamp() + declared:
            actual = (end - self._first_stamp()) * self._tick
            raise VideoError(f"ends after {actual:.2f} s of {declared * self._tick:.2f} s")

    def _seeking_pays(self, stamp: int) -> bool:
        """Return True if seeking is faster than decoding: a key frame is between the position and the wanted frame."""
        if not self._seekable:
            return False
        at = self._at if self._at is not None else self._first_stamp()
        keys, last = self._keys()
        key = self._key_before(stamp, keys)
        if key is not None and key > (self._read if self._read is not None else keys[0]):
            return True
        # Matroska's index has all key frames after a seek; other indices may cover only the part read so far
        matroska = "matroska" in self._container.format.name
        complete = bool(keys) and (self._sought if matroska else last >= stamp - self._step - keys[0])
        return not complete and (stamp - at) * self._tick > (0 if self._fresh else self._patience)

    def _keys(self) -> tuple[list[int], int]:
        """Return the timestamps of the key frames in the index, sorted, and the timestamp of its last entry."""
        entries = cast("Any", self._stream).index_entries
        keys, last, count = self._index
        if len(entries) != count:  # it can grow while reading
            listed = list(entries)
            keys, last = sorted(e.timestamp for e in listed if e.is_keyframe), listed[-1].timestamp
            self._index = keys, last, len(listed)
        return keys, last

    def _key_before(self, stamp: int, keys: Sequence[int]) -> int | None:
        self._first_stamp()
        number = bisect_right(keys, stamp - (self._delay or 0))
        return keys[number - 1] if number else None

    def _jump(self, stamp: int) -> tuple[Iterator[tuple[int, VideoFrame]], tuple[int, VideoFrame] | None]:
        """Seek to a key frame at or before a timestamp; return the first frame, and the frames after it."""
        before = self._at
        back = 0
        while True:
            frames, begins = self._frames_from(stamp, back)
            first = next(frames, None)
            if begins or (first is not None and first[0] <= stamp):
                break
            back = max(2 * back, self._step, round(1 / self._tick))
        if before is not None and first is not None and first[0] <= before:
            self._patience *= 2  # key frames are further apart
        return frames, first

    def _frames_from(self, stamp: int, back: int) -> tuple[Iterator[tuple[int, VideoFrame]], bool]:
        """Seek to a key frame before `stamp - back`; return the frames from there, and True at the video's start."""
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
