"""Temporal sampling and spatial cropping of clips."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from archdsl.train.data.videos import VideoError

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = ("dense", "segments")
SHORT = ("skip", "loop", "hold")
ASPECTS = (3 / 4, 4 / 3)  # aspect ratios of a random crop by area (Szegedy et al. 2015)
TRIES = 10  # random draws of such a crop, as in torchvision


# --- times -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sampling:
    """Temporal sampling: the choice of a clip's frames.

    `dense`: frames `interval / fps` seconds apart, as in `temporal_sampling` of PySlowFast; `segments`: one frame from
    each of equal segments of the video, as in TSN (Wang et al. 2016) and in models for Something-Something.

    Of videos that are shorter than a clip, `skip` rejects those with fewer frames and stretches the others; `loop` goes
    on with their first frame, `hold` repeats the last one. With `segments`, both repeat each frame.
    """

    frames: int
    interval: float  # frames, at `fps`, from one frame of a clip to the next
    fps: float
    rule: str = "dense"
    short: str = "skip"  # what becomes of a video that is shorter than a clip

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            message = f"unknown rule {self.rule!r}; expected {' or '.join(RULES)}"
            raise ValueError(message)
        if self.short not in SHORT:
            message = f"unknown choice {self.short!r} for short videos; expected {', '.join(SHORT)}"
            raise ValueError(message)
        if self.frames < 1 or not (0 < self.interval < math.inf and 0 < self.fps < math.inf):
            message = f"frames, interval and fps must be positive: {self}"
            raise ValueError(message)


def training_times(sampling: Sampling, duration: float, frame_count: int, generator: torch.Generator) -> list[float]:
    """Return random times of a clip's frames, in seconds: a random start, or a random time in each segment.

    Args:
        sampling: the temporal sampling.
        duration: seconds of the video.
        frame_count: frames of the video.
        generator: the random number generator.

    Raises:
        VideoError: if the video has fewer frames than the clip.
    """
    _check_length(sampling, frame_count)
    if sampling.rule == "segments":
        places = _draws(sampling.frames, generator)
        return [(i + p) * duration / sampling.frames for i, p in enumerate(places)]
    return _dense(sampling, duration, frame_count, _draws(1, generator)[0])


def test_times(sampling: Sampling, duration: float, frame_count: int, index: int, clips: int) -> list[float]:
    """Return the times of the frames of one test clip, in seconds; clips are spread evenly, a single one is central.

    Args:
        sampling: the temporal sampling.
        duration: seconds of the video.
        frame_count: frames of the video.
        index: index of the clip, from 0. With `segments`, each clip has a different time in every segment.
        clips: number of clips.

    Raises:
        VideoError: if the video has fewer frames than the clip.
    """
    _check_length(sampling, frame_count)
    if sampling.rule == "segments":
        place = (index + 0.5) / clips
        return [(i + place) * duration / sampling.frames for i in range(sampling.frames)]
    return _dense(sampling, duration, frame_count, index / (clips - 1) if clips > 1 else 0.5)


def _draws(count: int, generator: torch.Generator) -> list[float]:
    """Draw uniform random numbers in [0, 1)."""
    drawn: Any = torch.rand(count, generator=generator, dtype=torch.float64)
    return drawn.tolist()


def _check_length(sampling: Sampling, frame_count: int) -> None:
    if frame_count < sampling.frames and sampling.short == "skip":
        frames = "1 frame" if frame_count == 1 else f"{frame_count} frames"
        raise VideoError(f"has {frames}, a clip needs {sampling.frames}")


def _dense(sampling: Sampling, duration: float, frame_count: int, share: float) -> list[float]:
    """Return equidistant times; the start is `share` of the way between the earliest and the latest possible start.

    Times are in the middle of a frame's display interval, so that rounding errors do not change frames.
    """
    shown = duration / frame_count
    step = sampling.interval / sampling.fps
    free = duration - shown - (sampling.frames - 1) * step
    if free < 0:
        return _short(sampling, duration, shown, step)
    return [share * free + shown / 2 + i * step for i in range(sampling.frames)]


def _short(sampling: Sampling, duration: float, shown: float, step: float) -> list[float]:
    """Return the times of a clip that is longer than its video, whose frames are shown for `shown` seconds each."""
    if sampling.short == "skip":  # the video has enough frames: use all of it
        step = duration / sampling.frames
        return [(i + 0.5) * step for i in range(sampling.frames)]
    times = [shown / 2 + i * step for i in range(sampling.frames)]
    if sampling.short == "loop":
        return [time % duration for time in times]
    return [min(time, duration - shown / 2) for time in times]


# --- crops -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Box:
    """A crop of the frame, in (fractional) pixels; `flip` mirrors left and right."""

    top: float
    left: float
    height: float
    width: float
    flip: bool = False


def training_box(  # noqa: PLR0913, PLR0917  # settings of a recipe
    height: int,
    width: int,
    crop: tuple[int, int],
    jitter: tuple[float, float] | None,
    area: tuple[float, float] | None,
    flip: bool,
    generator: torch.Generator,
) -> Box:
    """Return a random crop of a frame, in whole pixels.

    Args:
        height: height of the frame.
        width: width of the frame.
        crop: height and width of the clip.
        jitter: range of the scale jitter (Simonyan and Zisserman 2015): the frame is scaled to cover the crop, times a
            uniform random number; the crop has a random position. SlowFast: crops of 224 from 256 to 320.
        area: range of the crop's fraction of the frame's area, with a random aspect ratio (Szegedy et al. 2015;
            torchvision's `RandomResizedCrop`); it replaces `jitter`.
        flip: mirror half of the crops.
        generator: the random number generator.
    """
    draws = _draws(4 + 2 * TRIES, generator)
    flipped = flip and draws[0] < 0.5
    shape = _shape_of_area(height, width, crop, area, draws[4:]) if area is not None else None
    if shape is None:
        low, high = jitter if jitter is not None and area is None else (1.0, 1.0)
        shape = _covering(height, width, crop, low + (high - low) * draws[3])
    box_height, box_width = max(1, round(shape[0])), max(1, round(shape[1]))  # whole pixels: `cut` is faster
    top, left = int(draws[1] * (height - box_height + 1)), int(draws[2] * (width - box_width + 1))
    return Box(top, left, box_height, box_width, flipped)


def _shape_of_area(
    height: int, width: int, crop: tuple[int, int], area: tuple[float, float], draws: Sequence[float]
) -> tuple[float, float] | None:
    """Return height and width for a random area and aspect ratio; None if no draw fits the frame."""
    low, high = (math.log(a * crop[1] / crop[0]) for a in ASPECTS)
    for share, shape in zip(draws[::2], draws[1::2], strict=True):
        pixels = height * width * (area[0] + (area[1] - area[0]) * share)
        aspect = math.exp(low + (high - low) * shape)
        size = math.sqrt(pixels / aspect), math.sqrt(pixels * aspect)
        if size[0] <= height and size[1] <= width:
            return size
    return None


def test_box(  # noqa: PLR0913, PLR0917  # settings of a recipe
    height: int, width: int, crop: tuple[int, int], scale: float, index: int, crops: int
) -> Box:
    """Return one of several equidistant crops along the longer side of a frame; a single crop is in the centre.

    Three crops are left, centre and right, or top, centre and bottom, as in `uniform_crop` of PySlowFast.

    Args:
        height: height of the frame.
        width: width of the frame.
        crop: height and width of the clip.
        scale: the frame is scaled to cover the crop, times this.
        index: index of the crop, from 0.
        crops: number of crops.
    """
    box_height, box_width = _covering(height, width, crop, scale)
    down, right = height - box_height, width - box_width
    place = index / (crops - 1) if crops > 1 else 0.5
    if down * crop[1] > right * crop[0]:
        return Box(place * down, right / 2, box_height, box_width)
    return Box(down / 2, place * right, box_height, box_width)


def _covering(height: int, width: int, crop: tuple[int, int], scale: float) -> tuple[float, float]:
    """Return the height and width of a crop, in pixels of the frame before it is scaled to cover the crop × `scale`."""
    ratio = max(scale, 1.0) * max(crop[0] / height, crop[1] / width)
    return min(crop[0] / ratio, height), min(crop[1] / ratio, width)


def cut(frames: torch.Tensor, box: Box, size: tuple[int, int]) -> torch.Tensor:
    """Crop and resize frames bilinearly, as `F.interpolate(align_corners=False)`, without antialiasing.

    Boxes of whole pixels, such as all random crops, are several times faster.

    Args:
        frames: uint8 (T, H, W, 3).
        box: the crop.
        size: height and width of the result.

    Returns:
        uint8 (3, T, height, width).
    """
    top, left, height, width = (math.floor(v) for v in (box.top, box.left, box.height, box.width))
    if (top, left, height, width) == (box.top, box.left, box.height, box.width):
        part = frames[:, top : top + height, left : left + width].permute(0, 3, 1, 2)
        pixels = functional.interpolate(part, size=size, mode="bilinear") if size != (height, width) else part
    else:
        pixels = _sampled(frames, box, size)
    pixels = pixels.flip(3) if box.flip else pixels
    return pixels.transpose(0, 1).contiguous()


def _sampled(frames: torch.Tensor, box: Box, size: tuple[int, int]) -> torch.Tensor:
    """Return a crop of fractional pixels as uint8 (T, 3, height, width); the border is replicated."""
    bottom, right = math.ceil(box.top + box.height) + 1, math.ceil(box.left + box.width) + 1
    top, left = max(0, math.floor(box.top) - 1), max(0, math.floor(box.left) - 1)
    part = frames[:, top:bottom, left:right].permute(0, 3, 1, 2).float()
    rows = _places(box.top - top, box.height, size[0], part.shape[2])
    columns = _places(box.left - left, box.width, size[1], part.shape[3])
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    mixed = functional.grid_sample(part, grid.expand(len(part), -1, -1, -1), padding_mode="border", align_corners=False)
    return mixed.round_().clamp_(0, 255).to(torch.uint8)


def _places(begin: float, length: float, size: int, pixels: int) -> torch.Tensor:
    """Return the centres of `size` equal parts of an interval, in the coordinates of `grid_sample` (−1 to 1)."""
    centres = begin + (torch.arange(size, dtype=torch.float64) + 0.5) * (length / size)
    return (centres * (2 / pixels) - 1).float()
