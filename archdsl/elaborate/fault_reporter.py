"""Reports of faults in expressions and chains, with the calls of blocks that lead to them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.values import UNKNOWN, Symbol, Unknown
from archdsl.core.work import FAULT
from archdsl.elaborate.faults import Places, fraction_notes, trail, unknown_name, word_hint
from archdsl.elaborate.scope import origin
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from archdsl.core.diagnostics import Hint, Notes, Replacement
    from archdsl.core.report import Reporter
    from archdsl.core.source import Span
    from archdsl.elaborate.budget import Budget
    from archdsl.elaborate.scope import Scope


class FaultReporter:
    """Reporter of faults, each once, whose value is UNKNOWN, which propagates without further faults.

    `calls` are those of the blocks and functions that are open, `symbols` the words that mean themselves.
    """

    def __init__(self, reporter: Reporter, budget: Budget, symbols: Collection[str]) -> None:
        self.reporter = reporter
        self.budget = budget
        self.symbols = symbols
        self.calls: tuple[ast.Layer | ast.Call, ...] = ()
        self.places = Places()

    @contextmanager
    def within(self, call: ast.Layer | ast.Call) -> Generator[None]:
        """Open a block or a function: faults found meanwhile are shown with this call as the way to them."""
        outer = self.calls
        self.calls = (*outer, call)
        try:
            yield
        finally:
            self.calls = outer

    def knows(self, code: str, span: Span) -> bool:
        """Return whether a fault is known already, so that what there is to say of it need not be found again."""
        self.budget.step(span, FAULT)
        return self.reporter.knows(code, span)

    def report(  # noqa: PLR0913, PLR0917  # all that a diagnostic can have
        self, code: str, span: Span, label: str, hint: Hint = "", notes: Notes = (),
        replacements: Sequence[Replacement] = (),
    ) -> Unknown:  # fmt: skip
        """Report a fault, with the way into the block that it was found in."""
        self.budget.step(span, FAULT)

        def more() -> list[Note]:
            return [*(notes() if callable(notes) else notes), *trail(self.calls, span)]

        self.reporter.report(code, span, label, more, hint, replacements)
        return UNKNOWN

    def report_value(self, code: str, expr: ast.Expr, scope: Scope, label: str, hint: str = "") -> Unknown:
        """Report a fault of a value, shown where it was first written."""
        first = origin(expr, scope)

        def notes() -> list[Note]:
            fractions = fraction_notes(expr, scope) if code == "E0302" else []
            return fractions + ([] if first is expr else [Note("used here", expr.span)])

        if isinstance(first, ast.Name) and first.id in self.symbols:
            hint = hint or word_hint(first, Symbol(first.id), self.places)
        return self.report(code, first.span, label, hint, notes)

    def report_name(self, name: ast.Name, scope: Scope, words: Collection[str]) -> Unknown:
        """Report a name that nothing has in a scope; `words` are those that mean themselves."""
        if self.knows("E0201", name.span) or self.knows("E0210", name.span):
            return UNKNOWN
        if self.reporter.is_crowded:
            return self.report("E0201", name.span, f"nothing is called `{name.id}` here")
        told = unknown_name(name, scope, words, self.places, in_block=bool(self.calls))
        return self.report(told.code, name.span, told.label, told.hint, told.notes)
