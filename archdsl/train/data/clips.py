"""Which moments of a video make a clip, and which part of the picture."""

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
ASPECTS = (3 / 4, 4 / 3)  # of a random crop by area, as Szegedy et al. (2015) have them
TRIES = 10  # to find such a crop, as in torchvision


# --- moments ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sampling:
    """How the frames of a clip are chosen.

    `dense`: `interval / fps` seconds apart, as `temporal_sampling` of PySlowFast; `segments`: one of each of as many
    equal parts of the video, as TSN (Wang et al. 2016) and the models of Something-Something.
    """

    frames: int
    interval: float  # frames of a video of `fps` from one to the next
    fps: float
    rule: str = "dense"

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            message = f"there is no rule {self.rule!r}; those that there are: {', '.join(RULES)}"
            raise ValueError(message)
        if self.frames < 1 or not (0 < self.interval < math.inf and 0 < self.fps < math.inf):
            message = f"frames, interval and fps must be above 0: {self}"
            raise ValueError(message)


def training_times(sampling: Sampling, duration: float, frame_count: int, generator: torch.Generator) -> list[float]:
    """Random moments for a clip: a random begin, or a random moment in each part.

    Args:
        sampling: how they are chosen.
        duration: seconds of the video.
        frame_count: its frames.
        generator: of what is random.

    Raises:
        VideoError: if the video has fewer frames than the clip.
    """
    _check_length(sampling, frame_count)
    if sampling.rule == "segments":
        places = _draws(sampling.frames, generator)
        return [(i + p) * duration / sampling.frames for i, p in enumerate(places)]
    return _dense(sampling, duration, frame_count, _draws(1, generator)[0])


def test_times(sampling: Sampling, duration: float, frame_count: int, index: int, clips: int) -> list[float]:
    """The moments of one of some clips, evenly over the video; of a single one the middle.

    Args:
        sampling: how they are chosen.
        duration: seconds of the video.
        frame_count: its frames.
        index: of the clip, from 0. Of several clips by segments, each takes its own moment of every part.
        clips: how many there are.

    Raises:
        VideoError: if the video has fewer frames than the clip.
    """
    _check_length(sampling, frame_count)
    if sampling.rule == "segments":
        place = (index + 0.5) / clips
        return [(i + place) * duration / sampling.frames for i in range(sampling.frames)]
    return _dense(sampling, duration, frame_count, index / (clips - 1) if clips > 1 else 0.5)


def _draws(count: int, generator: torch.Generator) -> list[float]:
    """Random numbers from 0 to below 1."""
    drawn: Any = torch.rand(count, generator=generator, dtype=torch.float64)
    return drawn.tolist()


def _check_length(sampling: Sampling, frame_count: int) -> None:
    if frame_count < sampling.frames:
        frames = "1 frame" if frame_count == 1 else f"{frame_count} frames"
        raise VideoError(f"has {frames}, a clip needs {sampling.frames}")


def _dense(sampling: Sampling, duration: float, frame_count: int, share: float) -> list[float]:
    """Moments at equal distances, which begin at a share of what the clip leaves free of the video.

    They aim at the middle of what each frame is shown for, so that none is missed for a rounding error.
    """
    shown = duration / frame_count
    step = sampling.interval / sampling.fps
    free = duration - shown - (sampling.frames - 1) * step
    if free < 0:  # it spans less time than the clip asks: all of it
        step = duration / sampling.frames
        return [(i + 0.5) * step for i in range(sampling.frames)]
    return [share * free + shown / 2 + i * step for i in range(sampling.frames)]


# --- the part of the picture -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Box:
    """A part of the picture, in pixels of the video, which need not be whole; `flip` mirrors left and right."""

    top: float
    left: float
    height: float
    width: float
    flip: bool = False


def training_box(  # noqa: PLR0913, PLR0917  # what a recipe says of it
    height: int,
    width: int,
    crop: tuple[int, int],
    jitter: tuple[float, float] | None,
    area: tuple[float, float] | None,
    flip: bool,
    generator: torch.Generator,
) -> Box:
    """A random part of a picture, of whole pixels.

    Args:
        height: of the picture.
        width: of the picture.
        crop: height and width of the clip.
        jitter: the picture is scaled to cover the crop, times a random number from here to there (Simonyan and
            Zisserman 2015), all as likely; the crop is a random part of that. SlowFast: 224 of 256 to 320.
        area: the share of the picture, from here to there, with a random aspect (Szegedy et al. 2015; torchvision's
            `RandomResizedCrop`); it counts in place of `jitter`.
        flip: whether it is mirrored half of the time.
        generator: of what is random.
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
    """Height and width of a random share and aspect, or None if none is found that fits."""
    low, high = (math.log(a * crop[1] / crop[0]) for a in ASPECTS)
    for share, shape in zip(draws[::2], draws[1::2], strict=True):
        pixels = height * width * (area[0] + (area[1] - area[0]) * share)
        aspect = math.exp(low + (high - low) * shape)
        found = math.sqrt(pixels / aspect), math.sqrt(pixels * aspect)
        if found[0] <= height and found[1] <= width:
            return found
    return None


def test_box(  # noqa: PLR0913, PLR0917  # what a recipe says of it
    height: int, width: int, crop: tuple[int, int], scale: float, index: int, crops: int
) -> Box:
    """One of some parts of a picture along its longer side, at equal distances; a single one is in the middle.

    Three are left, centre and right, or top, centre and bottom: `uniform_crop` of PySlowFast.

    Args:
        height: of the picture.
        width: of the picture.
        crop: height and width of the clip.
        scale: the picture is scaled to cover the crop, times this.
        index: of the part, from 0.
        crops: how many there are.
    """
    box_height, box_width = _covering(height, width, crop, scale)
    down, right = height - box_height, width - box_width
    place = index / (crops - 1) if crops > 1 else 0.5
    if down * crop[1] > right * crop[0]:
        return Box(place * down, right / 2, box_height, box_width)
    return Box(down / 2, place * right, box_height, box_width)


def _covering(height: int, width: int, crop: tuple[int, int], scale: float) -> tuple[float, float]:
    """Of the picture that is scaled to cover the crop, times a scale of at least 1, the size of the crop."""
    ratio = max(scale, 1.0) * max(crop[0] / height, crop[1] / width)
    return min(crop[0] / ratio, height), min(crop[1] / ratio, width)


def cut(frames: torch.Tensor, box: Box, size: tuple[int, int]) -> torch.Tensor:
    """The box of some frames, scaled: bilinear, as `F.interpolate(align_corners=False)` does it, without a low-pass.

    A box of whole pixels, as all random ones are, is several times as fast.

    Args:
        frames: uint8 (T, H, W, 3).
        box: the part.
        size: height and width of what it becomes.

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
    """A box of parts of pixels: uint8 (T, 3, height, width). Past the border of the picture its last pixel counts."""
    bottom, right = math.ceil(box.top + box.height) + 1, math.ceil(box.left + box.width) + 1
    top, left = max(0, math.floor(box.top) - 1), max(0, math.floor(box.left) - 1)
    part = frames[:, top:bottom, left:right].permute(0, 3, 1, 2).float()
    rows = _places(box.top - top, box.height, size[0], part.shape[2])
    columns = _places(box.left - left, box.width, size[1], part.shape[3])
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    mixed = functional.grid_sample(part, grid.expand(len(part), -1, -1, -1), padding_mode="border", align_corners=False)
    return mixed.round_().clamp_(0, 255).to(torch.uint8)


def _places(begin: float, length: float, size: int, pixels: int) -> torch.Tensor:
    """The middles of `size` equal parts of a length, on an axis of so many pixels that runs from −1 to 1."""
    middles = begin + (torch.arange(size, dtype=torch.float64) + 0.5) * (length / size)
    return (middles * (2 / pixels) - 1).float()
