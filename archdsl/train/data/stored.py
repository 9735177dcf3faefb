"""Videos that are not files of their own: their bytes inside a larger file, read by random access."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from archdsl.train.data import arrow
from archdsl.train.data.video import VideoError, reason_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Stored(Protocol):
    """The place of a video's bytes; hashable, and small enough for each data loading worker to have all of them."""

    @property
    def size(self) -> int:
        """Number of bytes."""
        ...

    def open(self) -> BinaryIO:
        """Open the bytes as a file for reading.

        Raises:
            OSError: if they cannot be read.
        """
        ...


@dataclass(frozen=True)
class Member:
    """A member of a tar file."""

    file: str
    offset: int
    size: int

    def open(self) -> BinaryIO:
        """Open the member without unpacking it."""
        return io.BufferedReader(Window(self.file, self.offset, self.size))


@dataclass(frozen=True)
class Cell:
    """A row of the column with the videos in an Arrow or Parquet file."""

    file: str
    column: str
    row: int

    @property
    def size(self) -> int:
        """Number of bytes, which have to be read for it from Parquet."""
        return len(arrow.opened(self.file).video(self.column, self.row))

    def open(self) -> BinaryIO:
        """Read the row."""
        return io.BytesIO(arrow.opened(self.file).video(self.column, self.row))


class Window(io.RawIOBase):
    """A part of a file, as a file for reading.

    Args:
        file: the path of the file.
        offset: first byte of the part.
        size: number of bytes; a file that ends earlier gives fewer.
    """

    def __init__(self, file: str, offset: int, size: int) -> None:
        self._file = open(file, "rb", buffering=0)  # noqa: SIM115  # closed with this object
        self._offset, self._size, self._at = offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, (0, self._at, self._size)[whence] + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        self._file.seek(self._offset + self._at)
        read = self._file.readinto(view[: max(0, self._size - self._at)]) or 0
        self._at += read
        return read

    def close(self) -> None:
        self._file.close()
        super().close()


def opened(stored: Stored, path: str) -> BinaryIO:
    """Open a stored video.

    Args:
        stored: the place of its bytes.
        path: its name for messages.

    Raises:
        VideoError: if it cannot be read, or is empty.
    """
    try:
        file = stored.open()
    except (OSError, ValueError) as error:
        raise VideoError(f"cannot be opened: {reason_of(error)}", path) from None
    if not file.seek(0, os.SEEK_END):
        raise VideoError("is empty (0 bytes)", path)
    file.seek(0)
    return file
