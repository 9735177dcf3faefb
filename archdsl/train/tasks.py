"""The tasks that a network can be trained for, as `--task` names them; `archdsl.train.objectives` has a class each."""

from __future__ import annotations

CLASSIFICATION = "classification"  # one class per video
MULTILABEL = "multilabel"  # several classes per video, or none
REGRESSION = "regression"  # one or several numbers per video
TASKS = (CLASSIFICATION, MULTILABEL, REGRESSION)
