"""Opening of a sample's video: a file, a folder of frames, or a part of a larger file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from archdsl.train.data.frames import RATE, FrameFolder
from archdsl.train.data.videos import Reader

if TYPE_CHECKING:
    import torch

    from archdsl.train.data.listing import Sample


def open_sample(sample: Sample, rate: float = RATE) -> Reader | FrameFolder:
    """Open the video of a sample.

    Args:
        sample: the sample.
        rate: frames per second of folders of frames, which do not say it.

    Raises:
        VideoError: if it cannot be opened.
    """
    if sample.stored is None and os.path.isdir(sample.path):
        return FrameFolder(sample.path, rate, sample.frames)
    return Reader(sample.path, sample.stored)


def strip_of(sample: Sample, count: int) -> torch.Tensor:
    """Return evenly spaced frames of a sample, uint8 (count, H, W, 3).

    Raises:
        VideoError: if they cannot be read.
    """
    with open_sample(sample) as reader:
        begin, end = sample.start, reader.video.duration if sample.end is None else sample.end
        return reader.read([begin + (i + 0.5) * (end - begin) / count for i in range(count)])
