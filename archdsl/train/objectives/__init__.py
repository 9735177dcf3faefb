"""Objectives: one class for each task, with its targets, loss, answers and metrics.

To add a task, write a subclass of `Objective`, and add it to `OBJECTIVES` under its name in `archdsl.train.tasks`; the
forms of its labels in lists are in `archdsl.train.data.labelling`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.train.objectives.classification import Classification
from archdsl.train.objectives.heads import Heads
from archdsl.train.objectives.multilabel import Multilabel
from archdsl.train.objectives.reconstruction import Reconstruction
from archdsl.train.objectives.regression import Regression
from archdsl.train.tasks import CLASSIFICATION, HEADS, MULTILABEL, PRETRAIN, REGRESSION

if TYPE_CHECKING:
    from archdsl.train.objectives.base import Objective
    from archdsl.train.run import Run

OBJECTIVES: dict[str, type[Objective]] = {
    CLASSIFICATION: Classification, MULTILABEL: Multilabel, REGRESSION: Regression, HEADS: Heads,
    PRETRAIN: Reconstruction,
}  # fmt: skip


def objective_of(run: Run) -> Objective:
    """Return the objective of a run."""
    return OBJECTIVES[run.task](run.classes, run.recipe, run.scale)
