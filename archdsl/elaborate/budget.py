"""The budget of an evaluation: steps of work, and expressions and chains inside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.work import MAX_STEPS

if TYPE_CHECKING:
    from archdsl.core.diagnostics import SpecError
    from archdsl.core.report import Reporter
    from archdsl.core.source import Span
    from archdsl.core.work import Work

MAX_DEPTH = 120  # expressions and chains inside each other, those that names stand for included


class Budget:
    """Counter of steps and depths, which limits the time and memory that a spec takes."""

    def __init__(self, work: Work, reporter: Reporter) -> None:
        self.work = work
        self.reporter = reporter
        self.depth = 0

    def step(self, span: Span, count: int = 1) -> None:
        """Count steps of work.

        Raises:
            SpecError: where they are too many.
        """
        if not self.work.spend(count):
            raise self.beyond(span)

    def enter(self, span: Span) -> None:
        """Go one level into an expression, or a chain: their depths add up, wherever they stand inside each other.

        Raises:
            SpecError: where that is too deep.
        """
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.beyond(span)

    def leave(self) -> None:
        """Come out of an expression or a chain."""
        self.depth -= 1

    def beyond(self, span: Span) -> SpecError:
        """Return the error of too deep a nesting, or of too much work."""
        if self.depth > MAX_DEPTH:
            return self.reporter.fatal("E0702", span, f"more than {MAX_DEPTH} expressions and chains inside each other")
        hint = "make lists shorter, and repeats and blocks fewer"
        return self.reporter.fatal("E0705", span, f"more than {MAX_STEPS:,} steps of work", hint=hint)
