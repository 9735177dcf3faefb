"""Decoding of an open video's frames, in presentation order, from the container's current position."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import torch
from av.error import EOFError as EndOfFile

from archdsl.train.data.container import Container
from archdsl.train.data.video import FAULTS, reason_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from archdsl.train.data.stored import Stored

AHEAD = 32  # packets of lookahead before one is decoded: reordering delays a frame by at most 16


class Decoder(Container):
    """A container that decodes frames; it skips the decoding of unwanted frames where possible."""

    def __init__(self, path: str | os.PathLike[str], stored: Stored | None = None) -> None:
        self.decoded = 0  # number of decoded frames
        self.damaged: list[int] = []  # timestamps of frames that the decoder could only complete by guessing
        self._delay: int | None = None  # ticks from the first packet's decoding time to its presentation time
        self._wanted: Sequence[int] = ()
        self._turns: bool | None = None  # frames have a display matrix; None before the first frame
        super().__init__(path, stored)

    def _open(self) -> None:
        super()._open()
        self._forget()

    def _forget(self) -> None:
        """Reset the decoding state, after a seek."""
        self._due: list[int] = []  # timestamps of packets whose frames are not decoded yet
        self._lost: list[tuple[int, str]] = []  # timestamps of rejected packets, with the reason
        self._at: int | None = None  # timestamp of the last decoded frame
        self._read: int | None = None  # decoding timestamp of the last packet
        self._end: int | None = None  # end of the last packet's frame

    def _decode(self, *, after_key: bool) -> Iterator[tuple[int, VideoFrame]]:
        """Yield frames in presentation order, with their timestamps, from the container's current position.

        Args:
            after_key: skip packets before the first key frame, and frames coded after it but displayed before it, whose
                reference is missing.
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
            yield from self._stamped(self._frames(packet, stamp), since)
        yield from self._stamped(self._frames(None, self._end), since)

    def _is_needed(self, packet: Packet[VideoStream], stamps: Iterable[int]) -> bool:
        """Return True if the frame of a packet may be wanted; other frames are decoded only as references."""
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

    def _frames(self, packet: Packet[VideoStream] | None, stamp: int | None) -> list[VideoFrame]:
        """Return the frames that the decoder outputs for a packet, or at the end (None)."""
        try:
            return cast("Any", self._stream).decode(packet)
        except EndOfFile:
            return []
        except FAULTS as error:
            at = self._at if stamp is None else stamp
            self._lost.append((at or 0, reason_of(error)))
            return []

    def _stamped(self, frames: Sequence[VideoFrame], since: int | None) -> Iterator[tuple[int, VideoFrame]]:
        for number, frame in enumerate(frames):
            self.decoded += 1
            stamp = frame.pts if not self._by_dts and frame.pts is not None else frame.dts
            if stamp is None and self._by_dts and self._read is not None:  # flushed without a packet
                stamp = self._read + (self._delay or 0) - (len(frames) - 1 - number)
            elif stamp is None:
                stamp = self._at + self._step if self._at is not None else 0
            self._at = stamp
            self._due = [at for at in self._due if at > stamp]
            if since is None or stamp >= since:
                if frame.is_corrupt:
                    self.damaged.append(stamp)
                yield stamp, frame

    def _picture(self, frame: VideoFrame) -> torch.Tensor:
        """Return a frame as uint8 (H, W, 3), with the size in the header, turned and mirrored as it is to be shown."""
        width, height = self._shape  # the frame size can change within a stream
        pixels: Any = frame.to_ndarray(format="rgb24", width=width, height=height, threads=1)
        picture: torch.Tensor = cast("Any", torch).from_numpy(pixels)
        return upright(picture, frame) if self.is_turned(frame) else picture

    def is_turned(self, frame: VideoFrame) -> bool:
        """Return True if a frame has a display matrix.

        A frame and its side data refer to each other, which keeps its memory until a garbage collection; so only the
        first frame is asked for them where none is turned.
        """
        if self._turns is None:
            self._turns = display_matrix(frame) is not None
        return self._turns or bool(frame.rotation)


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int] | None:
    """Return a, b, c, d of the display matrix of a frame: x' = a x + c y, y' = b x + d y; None without one."""
    data = next((bytes(d) for d in cast("Iterable[Any]", frame.side_data) if d.type.name == "DISPLAYMATRIX"), None)
    if data is None or len(data) < 20:
        return None
    a, b, _, c, d = struct.unpack_from("=5i", data)
    return a, b, c, d


def upright(picture: torch.Tensor, frame: VideoFrame) -> torch.Tensor:
    """Return a picture (H, W, 3) as the display matrix of its frame says: in quarter turns, mirrored or not."""
    matrix = display_matrix(frame)
    if matrix is None:
        return picture
    a, b, c, d = matrix
    turned = abs(b) + abs(c) > abs(a) + abs(d)
    if turned:
        picture = picture.transpose(0, 1)
    mirrored = [axis for axis, sign in enumerate((b, c) if turned else (d, a)) if sign < 0]
    return picture.flip(mirrored).contiguous() if mirrored else picture.contiguous()
