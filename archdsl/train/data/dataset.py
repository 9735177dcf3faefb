"""Datasets of video clips for torch's DataLoader.

Random numbers depend on the seed, the epoch and the index only, not on the number of workers or the order of loading.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import torch

from archdsl.train.data.clips import Box, Sampling, cut, test_box, test_times, training_box, training_times
from archdsl.train.data.opening import open_sample
from archdsl.train.data.randaugment import augmented
from archdsl.train.data.torchcodec import chosen_decoder, read_by_torchcodec
from archdsl.train.data.videos import Reader, Video, VideoError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archdsl.train.data.frames import FrameFolder
    from archdsl.train.data.listing import Sample

    Boxes = Callable[[int, int], list[Box]]  # of a picture's height and width


class Key(NamedTuple):
    """The key of a clip: the epoch, the index of the video in the split, and the number of its clip in this epoch."""

    epoch: int
    video: int
    copy: int = 0


class Item(TypedDict):
    """One sample: `clip` is uint8 (V, 3, T, h, w), with V views; `problems` are paths with reasons."""

    clip: torch.Tensor
    label: torch.Tensor
    index: int
    problems: list[tuple[str, str]]


class Batch(TypedDict):
    """A batch of samples: uint8 (B, V, 3, T, h, w), their targets (B, …), int64 (B,), and all their problems."""

    clip: torch.Tensor
    label: torch.Tensor
    index: torch.Tensor
    problems: list[tuple[str, str]]


class Clips(torch.utils.data.Dataset[Item]):
    """Dataset of the clips of some samples, by (epoch, index).

    In training, a sample has one random view; an unreadable video is replaced by the next readable one, and listed in
    `problems`. In tests, a sample has `clips` × `crops` views, in this order; an unreadable video has zeros, and the
    index −1.

    Args:
        samples: the videos, with their labels.
        sampling: the temporal sampling.
        size: height and width of a clip.
        training: random views.
        seed: seed of the random numbers.
        jitter: scale jitter in training: see `training_box` of `clips.py`.
        area: range of random crop areas in training: see `training_box`.
        flip: mirror half of the views in training.
        randaugment: number of operations of RandAugment, and their magnitude, in training.
        test_scale: scale of the frame in tests: see `test_box`.
        clips: clips per video in tests.
        crops: crops per clip in tests.
        decoder: `pyav`, `torchcodec` or `auto`.
        device: device on which torchcodec decodes.
        shuffle_frames: shuffle the frames of each clip.
        target: function from a sample to its target; by default the class index.
    """

    def __init__(  # noqa: PLR0913  # settings of a recipe
        self,
        samples: Sequence[Sample],
        sampling: Sampling,
        size: tuple[int, int],
        *,
        training: bool,
        seed: int = 0,
        jitter: tuple[float, float] | None = None,
        area: tuple[float, float] | None = None,
        flip: bool = False,
        randaugment: tuple[float, float] | None = None,
        test_scale: float = 1.0,
        clips: int = 1,
        crops: int = 1,
        decoder: str = "auto",
        device: str = "cpu",
        shuffle_frames: bool = False,
        target: Callable[[Sample], torch.Tensor] | None = None,
    ) -> None:
        self.samples = tuple(samples)
        self.sampling = sampling
        self.size = size
        self.training = training
        self.seed = seed
        self.jitter, self.area, self.flip = jitter, area, flip
        self.randaugment = randaugment
        self.test_scale = test_scale
        self.clips, self.crops = (1, 1) if training else (clips, crops)
        self.decoder, self.device = chosen_decoder(decoder), device
        self.shuffle_frames = shuffle_frames
        self.target = target or class_index

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int] | Key) -> Item:
        """Return one sample; index and label are those of the video that is actually read.

        Raises:
            VideoError: in training, if no video is readable.
        """
        epoch, index, copy = Key(*key)
        problems: list[tuple[str, str]] = []
        for tried in range(len(self) if self.training else 1):
            number = (index + tried) % len(self)
            sample = self.samples[number]
            try:
                clip = self._views(sample, _generator(self.seed, epoch, index, tried, *[copy][:copy]))
            except MemoryError:
                raise
            except Exception as error:  # the other videos are still used
                problems.append((sample.path, str(error) or type(error).__name__))
            else:
                return {"clip": clip, "label": self.target(sample), "index": number, "problems": problems}
        if self.training:
            path, reason = problems[0]
            raise VideoError(f"none of {len(self)} videos can be used; for example, {path} {reason}", path)
        empty = torch.zeros(self.clips * self.crops, 3, self.sampling.frames, *self.size, dtype=torch.uint8)
        return {"clip": empty, "label": self.target(self.samples[index]), "index": -1, "problems": problems}

    def _views(self, sample: Sample, generator: torch.Generator) -> torch.Tensor:
        """Return all views of a sample: uint8 (V, 3, T, h, w)."""
        with open_sample(sample, self.sampling.fps) as reader:
            video = reader.video
            begin, end, frames = part_of(sample, video)
            clips = [self._times(end - begin, frames, index, generator) for index in range(self.clips)]
            views = self._read(reader, [begin + t for times in clips for t in times], self._boxes(generator))
        if self.training and self.randaugment:
            number, magnitude = self.randaugment
            views = torch.stack([augmented(view, int(number), magnitude, generator) for view in views])
        if self.shuffle_frames:
            orders = [torch.randperm(self.sampling.frames, generator=generator) for _ in range(len(views))]
            views = torch.stack([view[:, order] for view, order in zip(views, orders, strict=True)])
        return views

    def _times(self, duration: float, frames: int, index: int, generator: torch.Generator) -> list[float]:
        if self.training:
            return training_times(self.sampling, duration, frames, generator)
        return test_times(self.sampling, duration, frames, index, self.clips)

    def _boxes(self, generator: torch.Generator) -> Boxes:
        """Return a function from the size of a frame to its crops; random crops are drawn in its first call."""
        drawn: list[Box] = []

        def boxes(height: int, width: int) -> list[Box]:
            if not drawn and self.training:
                drawn.append(training_box(height, width, self.size, self.jitter, self.area, self.flip, generator))
            elif not drawn:
                crops = range(self.crops)
                drawn.extend(test_box(height, width, self.size, self.test_scale, i, self.crops) for i in crops)
            return drawn

        return boxes

    def _read(self, reader: Reader | FrameFolder, times: Sequence[float], boxes: Boxes) -> torch.Tensor:
        """Return the views for the times of all clips, uint8 (V, 3, T, h, w); shared frames are decoded once."""

        def view(frame: torch.Tensor) -> torch.Tensor:  # (crops, 3, h, w)
            parts = boxes(frame.shape[0], frame.shape[1])
            return torch.stack([cut(frame[None], box, self.size)[:, 0] for box in parts])

        if self.decoder == "pyav" or not isinstance(reader, Reader):
            frames = reader.read(times, view)
        else:
            frames = read_by_torchcodec(reader.path, times, self.device, view, reader.stored)
        frames = frames.reshape(self.clips, self.sampling.frames, *frames.shape[1:])
        return frames.permute(0, 2, 3, 1, 4, 5).flatten(0, 1).contiguous()


def part_of(sample: Sample, video: Video) -> tuple[float, float, int]:
    """Return start and end, in seconds, of a sample in its video, and its number of frames.

    Raises:
        VideoError: if the video ends before the sample starts.
    """
    begin, end = sample.start, video.duration if sample.end is None else min(sample.end, video.duration)
    if begin >= end:
        raise VideoError(f"lasts {video.duration:.2f} s, but its part starts at {begin:.2f} s", sample.path)
    return begin, end, min(video.frames, max(1, round(video.frames * (end - begin) / video.duration)))


def class_index(sample: Sample) -> torch.Tensor:
    """Return the class index of a sample, int64 ()."""
    return torch.tensor(sample.label)


def collate(items: Sequence[Item]) -> Batch:
    """Collate items into a batch."""
    return {
        "clip": torch.stack([item["clip"] for item in items]),
        "label": torch.stack([item["label"] for item in items]),
        "index": torch.tensor([item["index"] for item in items]),
        "problems": [problem for item in items for problem in item["problems"]],
    }


def _generator(*numbers: int) -> torch.Generator:
    """Return a generator seeded with some numbers."""
    return torch.Generator().manual_seed(seed_of(*numbers))


def seed_of(*numbers: int) -> int:
    """Return one seed, a hash of some numbers."""
    digest = hashlib.blake2b(struct.pack(f"<{len(numbers)}q", *numbers), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
