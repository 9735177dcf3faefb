"""The tasks that a network can be trained for, as `--task` names them; `archdsl.train.objectives` has a class each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CLASSIFICATION = "classification"  # one class per video
MULTILABEL = "multilabel"  # several classes per video, or none
REGRESSION = "regression"  # one or several numbers per video
HEADS = "heads"  # one class per video for each of several heads
PRETRAIN = "pretrain"  # reconstruction of hidden parts of a video, without labels
TASKS = (CLASSIFICATION, MULTILABEL, REGRESSION, HEADS, PRETRAIN)
_BEHIND = ": "


def of_head(head: str, name: str) -> str:
    """Return the name of a class among those of several heads: `verb: take`."""
    return f"{head}{_BEHIND}{name}"


def by_head(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the classes of each head, of names by `of_head`."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        head, _, own = name.partition(_BEHIND)
        found[head] = (*found.get(head, ()), own)
    return found
