"""Faults as data. How they are shown is the renderers' business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archdsl.core.source import Span


@dataclass(frozen=True, slots=True)
class Note:
    """A second place that explains the first, or a remark without a place."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault of a spec.

    `code` is stable (`archdsl explain CODE`), `title` says what is wrong in general, `label` what is wrong here.
    """

    code: str
    title: str
    span: Span
    label: str = ""
    notes: tuple[Note, ...] = ()
    help: str = ""

    @property
    def is_error(self) -> bool:
        return self.code.startswith("E")

    @property
    def severity(self) -> str:
        return "error" if self.is_error else "warning"


class SpecError(Exception):
    """A spec has faults; `diagnostics` holds every one of them, warnings included."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from archdsl.core.render import render_text

        return render_text(self.diagnostics)


def one_of(words: Sequence[str]) -> str:
    """`a`, `b` or `c`."""
    quoted = [f"`{w}`" for w in words]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


class LayerError(SpecError):
    """A layer from ARCHDSL_LAYERS is wrong: a fault of its author, shown in its own file."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A help line that names the nearest known names, or lists them when they are few."""
    from difflib import get_close_matches

    candidates = sorted(set(known))
    close = get_close_matches(name, candidates, n=2, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(f"`{c}`" for c in close) + "?"
    if 0 < len(candidates) <= 12:
        return "known here: " + ", ".join(f"`{c}`" for c in candidates)
    return ""
