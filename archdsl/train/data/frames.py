"""Folders of frames: the images `img_00001.jpg`, `img_00002.jpg`, … of a video, with any prefix and any digits."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import torch

from archdsl.train.data.video import Video, VideoError, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    View = Callable[[torch.Tensor], torch.Tensor]

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.\w+)")
FLOW = re.compile(r"(flow)?_?[xyuv]_?|flow.*")  # prefixes of optical flow, beside the frames in mmaction2's folders
RATE = 30.0  # frames per second, where nothing states another rate


def frame_names(names: Iterable[str]) -> list[tuple[int, str]]:
    """Return the numbers and names of the frames among the files of a folder, in order; empty without any.

    Raises:
        VideoError: if there are several sequences.
    """
    sequences: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name in names:
        match = NUMBERED.fullmatch(name)
        if match is not None and match["suffix"].lower() in IMAGES and not name.startswith("."):
            key = match["prefix"], match["suffix"].lower()
            sequences.setdefault(key, []).append((int(match["number"]), name))
    colours = {key: found for key, found in sequences.items() if not FLOW.fullmatch(key[0].lower())}
    if len(colours) > 1:
        several = ", ".join(sorted(f"{prefix}*{suffix}" for prefix, suffix in colours))
        raise VideoError(f"has several sequences of frames: {several}")
    return sorted(frame for found in colours.values() for frame in found)


def has_frames(folder: Path) -> bool:
    """Return True if a folder holds frames itself; several sequences of them are an error when they are read."""
    try:
        return bool(frame_names(os.listdir(folder)))
    except VideoError:
        return True


class FrameFolder:
    """The frames of a video in a folder, read as a video is.

    Args:
        path: the folder.
        rate: frames per second.
        part: the numbers of the first and the last frame to use, as in the names of the files; by default all.

    Raises:
        VideoError: if it has no frames, or several sequences of them.
    """

    def __init__(self, path: str, rate: float = RATE, part: tuple[int, int] | None = None) -> None:
        self.path, self.rate = path, rate
        try:
            frames = frame_names(os.listdir(path))
        except OSError as error:
            raise VideoError(f"cannot be opened: {reason_of(error)}", path) from None
        except VideoError as error:
            raise VideoError(str(error), path) from None
        if not frames:
            raise VideoError("is a folder without frames such as img_00001.jpg", path)
        low, high = part or (frames[0][0], frames[-1][0])
        used = [(number, name) for number, name in frames if low <= number <= high]
        if not used:
            raise VideoError(f"has no frames {low} to {high}; its frames are {frames[0][0]} to {frames[-1][0]}", path)
        self.names = [name for _, name in used]
        self.missing = used[-1][0] - used[0][0] + 1 - len(used)
        self._shape: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def video(self) -> Video:
        """The properties of the video; its codec is the suffix of the frames."""
        height, width = self._shape or self._image(self.names[0]).shape[:2]
        codec, count = self.names[0].rpartition(".")[2].lower(), len(self.names)
        return Video(width, height, count, count / self.rate, self.rate, codec, self.missing)

    def read(self, times: Sequence[float], view: View | None = None) -> torch.Tensor:
        """Return the frames at given times, as `read_frames`."""
        places = [min(max(int(time * self.rate + 1e-6), 0), len(self.names) - 1) for time in times]
        shown: dict[int, torch.Tensor] = {}
        for place in sorted(set(places)):
            picture = self._image(self.names[place])
            shown[place] = view(picture) if view is not None else picture
        return torch.stack([shown[place] for place in places])

    def damage(self) -> str:
        """Return the damage that reading has not raised: none."""
        return ""

    def _image(self, name: str) -> torch.Tensor:
        """Return an image, uint8 (H, W, 3)."""
        from PIL import Image

        try:
            with Image.open(os.path.join(self.path, name)) as image:
                pixels = np.array(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise VideoError(f"cannot be decoded at {name}: {reason_of(error).split(' <')[0]}", self.path) from None
        shape = cast("tuple[int, int]", pixels.shape[:2])
        if self._shape is not None and shape != self._shape:
            first = f"{self._shape[1]}×{self._shape[0]}"
            raise VideoError(f"has frames of {first} pixels, but {name} has {shape[1]}×{shape[0]}", self.path)
        self._shape = shape
        return torch.from_numpy(pixels)  # pyright: ignore[reportUnknownMemberType]
