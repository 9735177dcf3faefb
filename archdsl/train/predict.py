"""Prediction of the classes of videos."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.train.data.listing import Sample
from archdsl.train.data.videos import VideoError
from archdsl.train.evaluate import Views, classify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from archdsl.train.run import Run

Answer = list[tuple[str, float]]


def predict(
    run: Run, model: torch.nn.Module, videos: Sequence[str], folder: Path, views: Views
) -> list[Answer | VideoError]:
    """Return the classes of each video with their probabilities, the most likely first, or the error in reading it."""
    result = classify(run, model, [Sample(path, 0) for path in videos], folder, views)
    probabilities = dict(zip(result.indices.tolist(), result.shares, strict=True))
    answers: list[Answer | VideoError] = []
    for index, path in enumerate(videos):
        if index not in probabilities:
            answers.append(VideoError(result.problems.get(path, "cannot be read")))
            continue
        order = probabilities[index].argsort(descending=True).tolist()
        answers.append([(run.classes[i], float(probabilities[index][i])) for i in order])
    return answers
