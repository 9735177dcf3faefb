"""Prediction of the classes, or of the targets of a regression, of videos."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from archdsl.train.data.opening import open_sample
from archdsl.train.data.videos import VideoError
from archdsl.train.evaluate import Views, classify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from archdsl.train.data.listing import Sample
    from archdsl.train.run import Run

Answer = list[list[tuple[str, float]]]  # names and numbers, for each head


def predict(
    run: Run, model: torch.nn.Module, samples: Sequence[Sample], folder: Path, views: Views
) -> list[Answer | VideoError]:
    """Return the answers for each video, or the error in reading it.

    They are the classes with their probabilities, the most likely first, or targets with numbers, of each head.
    """
    result = classify(run, model, samples, folder, views)
    rows = dict(zip(result.indices.tolist(), result.answers.tolist(), strict=True))
    answers: list[Answer | VideoError] = []
    for index, sample in enumerate(samples):
        if index not in rows:
            answers.append(VideoError(result.problems.get(sample.path, "cannot be read")))
            continue
        answers.append(result.objective.ranked(rows[index]))
    return answers


def windows(samples: Sequence[Sample], length: float, every: float, rate: float) -> list[Sample]:
    """Return the windows of videos, of `length` seconds, beginning `every` seconds; the last one ends with its video.

    Folders of frames have `rate` frames per second. A video that is shorter, or that cannot be read, is one window.
    """
    found: list[Sample] = []
    for sample in samples:
        try:
            with open_sample(sample, rate) as reader:
                end = min(sample.end or math.inf, reader.video.duration)
        except VideoError:  # reported when it is classified
            found.append(sample)
            continue
        count = max(1, 1 + math.ceil((end - sample.start - length) / every - 1e-6))
        starts = [min(sample.start + n * every, max(sample.start, end - length)) for n in range(count)]
        found += [replace(sample, start=start, end=min(start + length, end)) for start in starts]
    return found
