"""The collector of diagnostics from all passes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, Hint, Note, Notes, Replacement, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.source import Span

MAX_DIAGNOSTICS = 200  # errors, and warnings
MAX_PLACES = 4  # where else a cause has an effect
ALSO = "and here"
MAX_HINTS = 20  # diagnostics after which hints are no longer computed
# Pairs of an error and the warning that it explains: an unused name may be the target of a misspelt one.
_EXPLAINS = (("E0201", "W0101"), ("E0202", "W0103"), ("E0202", "W0104"))


class Reporter:
    """Collector of diagnostics; a fault that is reported again at the same span is kept once."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []
        self._seen: set[tuple[str, int, int, int]] = set()
        self._causes: dict[tuple[str, int, int], int] = {}  # the diagnostic of each cause, among those found
        self._errors = 0
        self._warnings = 0

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Errors, then warnings, by position in each file, without warnings that an error explains."""
        codes = {d.code for d in self._found}
        explained = {warning for error, warning in _EXPLAINS if error in codes}
        files = list(dict.fromkeys(id(d.span.source) for d in self._found))
        kept = [d for d in self._found if d.code not in explained]
        kept.sort(key=lambda d: (not d.is_error, files.index(id(d.span.source)), d.span.start))
        more = self._warnings - MAX_DIAGNOSTICS
        if more > 0 and kept and not kept[-1].is_error:
            kept[-1] = replace(kept[-1], notes=(*kept[-1].notes, Note(f"{more:,} more warnings are not shown")))
        return kept

    def withdraw(self, code: str, span: Span) -> None:
        """Remove the diagnostics of a code inside of a span, where another one has the cure of all of it."""
        self._found = [
            d
            for d in self._found
            if d.code != code or d.span.source is not span.source or not span.start <= d.span.start < span.end
        ]
        self._causes.clear()

    def is_repeated(self, code: str, cause: Span, span: Span) -> bool:
        """Return True if a fault has the cause of one that was reported: that one gets a note instead of another fault.

        Faults of one cause, such as a parameter, are mended together.
        """
        key = (code, id(cause.source), cause.start)
        first = self._causes.setdefault(key, len(self._found))
        if first == len(self._found):
            return False
        known = self._found[first]
        places = [n for n in known.notes if n.message == ALSO]
        if known.span != span and len(places) < MAX_PLACES and all(n.span != span for n in places):
            self._found[first] = replace(known, notes=(*known.notes, Note(ALSO, span)))
        return True

    def report(  # noqa: PLR0913, PLR0917  # all that a diagnostic can have
        self, code: str, span: Span, label: str = "", notes: Notes = (), hint: Hint = "",
        replacements: Sequence[Replacement] = (),
    ) -> None:  # fmt: skip
        """Add a diagnostic, unless it is known.

        Raises:
            SpecError: after MAX_DIAGNOSTICS errors.
        """
        if self.knows(code, span):
            return
        self._seen.add((code, id(span.source), span.start, span.end))
        is_error = code.startswith("E")
        self._errors += is_error
        self._warnings += not is_error
        if self._warnings > MAX_DIAGNOSTICS and not is_error:
            return
        details = tuple(notes() if callable(notes) else notes)
        if callable(hint):
            hint = "" if self.is_crowded else hint()
        self._found.append(Diagnostic(code, TITLES[code], span, label, details, hint, tuple(replacements)))
        if self._errors == MAX_DIAGNOSTICS:
            label = f"after {MAX_DIAGNOSTICS} faults the spec is not read on; there may be more"
            raise self.fatal("E0706", span, label, hint="mend the first ones: others may follow from them")

    def extend(self, error: SpecError) -> None:
        """Add the diagnostics of a pass that stopped."""
        self._found.extend(error.diagnostics)

    def fatal(self, code: str, span: Span, label: str = "", notes: Notes = (), hint: Hint = "") -> SpecError:
        """Report a fault after which checking cannot go on, and return the error for the caller to raise."""
        self.report(code, span, label, notes, hint)
        return SpecError(self.diagnostics)

    @property
    def errors(self) -> int:
        """The number of errors reported so far."""
        return sum(d.is_error for d in self._found)

    def knows(self, code: str, span: Span) -> bool:
        """Return True if the fault was already reported at this span."""
        return (code, id(span.source), span.start, span.end) in self._seen

    @property
    def is_crowded(self) -> bool:
        """True if so many faults are known that no more hints are computed."""
        return len(self._found) >= MAX_HINTS

    @property
    def failed(self) -> bool:
        return any(d.is_error for d in self._found)
