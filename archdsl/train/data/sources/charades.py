"""The lists of Charades, whose videos have several classes at once; they are recognised, and refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.files import DataError

if TYPE_CHECKING:
    from archdsl.train.data.sources.source import Listed, Source


def recognises(source: Source) -> bool:
    """Return True for a table with the columns of Charades."""
    return {"id", "scene", "actions"} <= set(source.header)


def read(source: Source) -> Listed:
    """Refuse the list.

    Raises:
        DataError: always.
    """
    raise DataError(
        f"{source.path}: the videos of Charades have several classes each (column `actions`), and training takes one; "
        "write a list of `path label start end` with a line for each action to classify its segments"
    )
