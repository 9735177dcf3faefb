"""Testing of a trained network: answers averaged over several views of each video."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from archdsl.train.fit import check_decoder, clear_errors, clips_of, rank_of, task_of, trainer_of
from archdsl.train.loading import test_loader
from archdsl.train.objectives import objective_of
from archdsl.train.report import Result
from archdsl.train.task import VIEWS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archdsl.train.data.listing import Sample
    from archdsl.train.run import Run

STRIPS = 6  # videos whose reconstructions are drawn


@dataclass(frozen=True)
class Views:
    """Test-time views of each video: `clips` temporal clips, with `crops` spatial crops each."""

    clips: int
    crops: int
    shuffle_frames: bool = False  # shuffle the frames of each clip

    @property
    def text(self) -> str:
        """The views as text: `10 × 3 views`."""
        views = f"{self.clips} × {self.crops} view{'s' * (self.clips * self.crops > 1)}"
        return views + (", frames shuffled" if self.shuffle_frames else "")


def untested(run: Run) -> Result:
    """Return the result of a run without videos for a test."""
    none = torch.zeros(0, dtype=torch.long)
    return Result((), objective_of(run), none, none, torch.zeros(0, len(run.classes)), {}, "", 0.0)


def classify(run: Run, model: torch.nn.Module, samples: Sequence[Sample], folder: Path, views: Views) -> Result:
    """Return the answers of a network for videos, averaged over views.

    Args:
        run: the run, with engine settings for the test.
        model: the module with trained weights.
        samples: the videos.
        folder: the folder of the run.
        views: the views of each video.

    Raises:
        TrainingError: if the test fails.
    """
    check_decoder(run.engine.decoder)
    start = time.perf_counter()
    clips = clips_of(
        run, samples, training=False, clips=views.clips, crops=views.crops, shuffle_frames=views.shuffle_frames
    )
    loader: Any = test_loader(clips, run.engine, rank_of(), max(1, VIEWS // (views.clips * views.crops)))
    task = task_of(run)(run, model)
    task.pictured = tuple(range(0, len(samples), max(1, len(samples) // STRIPS)))[:STRIPS]
    with clear_errors(folder):
        trainer_of(run, folder).test(task, loader, verbose=False)
    seconds = time.perf_counter() - start
    return Result(samples, task.objective, *task.result, task.problems, views.text, seconds, task.strips)
