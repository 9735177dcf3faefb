"""Faults of the lines of an attention, and words of their messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.groups import AXES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.source import Span
    from archdsl.layers.attention_lines import Lines

TITLES = {"q": "queries", "k": "keys", "v": "values"}
SIZES = ("frames", "rows", "columns")


class LineFault(Exception):
    """A fault of lines.

    Args:
        message: what is wrong.
        at: names of arguments and of branches, of which the first that is written is to blame.
        code: of the diagnostic.
        hint: what to do.
        index: of the element to point at, if an argument is a list.
        notes: texts, each for the line of a branch.

    `line` is the place to blame, where it is not that of a name.
    """

    line: Span | None = None

    def __init__(
        self, message: str, *at: str, code: str = "E0510", hint: str = "", index: int | None = None,
        notes: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.message, self.at, self.code, self.hint, self.index, self.notes = message, at, code, hint, index, notes


def later(lines: Lines, one: str, other: str) -> tuple[str, str]:
    """Return two branches, the one that a line has changed last first."""
    starts = [lines.places[n].start if n in lines.places else -1 for n in (one, other)]
    return (one, other) if starts[0] > starts[1] else (other, one)


def differ(lines: Lines, one: str, other: str, code: str, hint: str) -> LineFault:
    """Return the fault of two branches that do not go together, at the line that changed one of them last."""
    last, first = later(lines, one, other)
    texts = [f"{TITLES[n]} {_shape_text(lines, n, code)}" for n in (one, other)]
    verb = "have " if code == "E0501" else "are "
    message = f"{texts[0].replace(' ', f' {verb}', 1)}, {texts[1]}"
    return LineFault(message, last, code=code, hint=hint, notes=[(f"the {TITLES[first]} come from here", first)])


def _shape_text(lines: Lines, branch: str, code: str) -> str:
    shape = lines.shapes[branch]
    return f"{int(shape.channels)} channels" if code == "E0501" else str(shape)


def axes_of(lines: Lines) -> set[str]:
    """Return the axes that positions look along, in all parts of the heads."""
    return {a for name in lines.between.over for a in AXES[name]}
