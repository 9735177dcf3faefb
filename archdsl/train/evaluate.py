"""Tests of what was trained: several views of each video, their probabilities averaged."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.train.fit import clips_of, rank_of, told_clearly, trainer_of
from archdsl.train.loading import test_loader
from archdsl.train.report import Result
from archdsl.train.task import VIEWS, Task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from archdsl.train.data.listing import Sample
    from archdsl.train.run import Run


@dataclass(frozen=True)
class Views:
    """How each video is looked at: so many moments, and at each so many parts of the picture."""

    clips: int
    crops: int
    shuffle_frames: bool = False  # whether the frames of each clip come in a random order

    @property
    def text(self) -> str:
        """For people."""
        views = f"{self.clips} × {self.crops} view{'s' * (self.clips * self.crops > 1)}"
        return views + (", frames shuffled" if self.shuffle_frames else "")


def look(run: Run, model: torch.nn.Module, samples: Sequence[Sample], folder: Path, views: Views) -> Result:
    """Looks at views of videos, and averages what is found for each.

    Args:
        run: what was trained, and how it shall be carried out.
        model: its module.
        samples: the videos.
        folder: of the run.
        views: how each is looked at.

    Raises:
        TrainingError: if it cannot go on.
    """
    began = time.perf_counter()
    clips = clips_of(
        run, samples, training=False, clips=views.clips, crops=views.crops, shuffle_frames=views.shuffle_frames
    )
    loader: Any = test_loader(clips, run.engine, rank_of(), max(1, VIEWS // (views.clips * views.crops)))
    task = Task(run, model)
    with told_clearly(folder):
        trainer_of(run, folder).test(task, loader, verbose=False)
    seconds = time.perf_counter() - began
    return Result(samples, run.classes, *task.result, task.problems, views.text, seconds)
